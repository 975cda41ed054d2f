"""Mean of every window: y[n,i,j,k] = Σ_{u,v} x[n, i·s + u, j·s + v, k] / (K_h K_w)."""

from __future__ import annotations

from chainrule.derive.index import Sum
from chainrule.derive.layers.pooling import WINDOW, pool, window_height, window_width
from chainrule.derive.prose import _

LAYER = pool(
    "avg_pool2d",
    _("mean of every window"),
    lambda x: Sum(x, *WINDOW) / (window_height * window_width),
    ("avgpool", "avg_pool", "mean_pool", "average_pooling2d", "average_pool"),
)
