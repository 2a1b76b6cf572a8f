"""Pictures of a campaign: convergence, response surface, Nyquist; PNG and SVG, the same bytes each time."""

from pressopt.export.pictures.contact_map import draw_contact_map
from pressopt.export.pictures.convergence import draw_convergence
from pressopt.export.pictures.front import draw_front
from pressopt.export.pictures.nyquist import draw_nyquist_of_trials
from pressopt.export.pictures.parity import draw_parity
from pressopt.export.pictures.style import picture_bytes
from pressopt.export.pictures.surface import CampaignModel, Model, draw_surface

__all__ = [
    "CampaignModel",
    "Model",
    "draw_contact_map",
    "draw_convergence",
    "draw_front",
    "draw_nyquist_of_trials",
    "draw_parity",
    "draw_surface",
    "picture_bytes",
]
