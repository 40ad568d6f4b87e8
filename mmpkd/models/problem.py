"""What a student's logits mean, by the domain's problem."""

import torch


def log_odds(logits: torch.Tensor, problem: str) -> torch.Tensor:
    """For each label the logarithm of the odds that it is true, so that a sigmoid of it is its probability.

    Labels that are independent of each other (multi_label) have these as their logits. Where exactly one is true
    (single_label), log(p / (1 - p)) of a softmax p is the logit less the log-sum-exp of the others.

    Args:
        logits: N x L.
        problem: multi_label or single_label.
    """
    if problem == "multi_label":
        return logits
    own = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
    others = logits[:, None, :].masked_fill(own, -torch.inf).logsumexp(dim=2)
    return logits - others
