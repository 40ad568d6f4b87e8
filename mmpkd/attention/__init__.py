"""Maps of where a vision transformer looks: from its attention, from gradients, and by Grad-CAM."""
