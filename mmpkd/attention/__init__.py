"""Maps of where a vision transformer looks: from its attention, from gradients, and yardsticks of other libraries."""
