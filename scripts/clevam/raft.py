"""Motion by a network: RAFT (Teed and Deng, ECCV 2020), as torchvision builds it."""

import numpy as np
import torch

from clevam import video
from clevam.device import pick_device
from clevam.geometry import cut
from clevam.states import load_into, read_state
from clevam.uncompiled import uncompiled

with uncompiled():
    from torchvision.models.optical_flow import Raft_Small_Weights, raft_large, raft_small

CELL = 8  # pixels: the network's own resolution
SMALLEST = 128  # pixels: the least that leaves the coarsest of its four correlation levels two cells


class Raft:
    """raft_small or raft_large, whichever the state dict in the file `weights` is of; loaded once for many pairs.

    It sees colours, which it was trained on.
    """

    look = staticmethod(video.rgb8)
    step = 1

    def __init__(self, weights: str, device: str) -> None:
        state = read_state(weights, "models.flow")
        # Only the large one has learned how to enlarge its flow.
        self.model = raft_large() if "mask_predictor.conv.weight" in state else raft_small()
        load_into(self.model, state, weights, "models.flow")
        self.device = pick_device(device)
        self.model.eval().to(self.device)
        self.normalise = Raft_Small_Weights.DEFAULT.transforms()  # 0..255 to -1..1, the same for all

    @torch.no_grad()
    def __call__(self, here: np.ndarray, there: np.ndarray, guess: np.ndarray | None = None) -> np.ndarray:
        """Flow float32 [H, W, 2] from `here` to `there`, both uint8 RGB [H, W, 3]; it needs no guess."""
        height, width = here.shape[:2]
        room = [0, 0, _padded(width), _padded(height)]
        pair = (torch.from_numpy(cut(p, room, "edge")).movedim(-1, 0)[None] for p in (here, there))
        flow = self.model(*(p.to(self.device) for p in self.normalise(*pair)))[-1][0]
        return flow.movedim(0, -1).cpu().numpy()[:height, :width]


def _padded(length: int) -> int:
    return max(SMALLEST, -(-length // CELL) * CELL)
