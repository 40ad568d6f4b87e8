"""The privileged teachers: text and tabular models, the text encoder, and the targets that they give to students."""
