"""PyTorch on the CPU, f32 or bf16, through transformers' own model class."""

from __future__ import annotations

import encode_common
import numpy as np
import torch
from transformers import AutoModel


def main() -> None:
    args = encode_common.arguments()
    torch.set_num_threads(args.threads)
    kind = torch.bfloat16 if args.precision == "bf16" else torch.float32
    model = AutoModel.from_pretrained(args.model, dtype=kind).eval()

    def forward(ids: np.ndarray, mask: np.ndarray) -> object:
        with torch.inference_mode():
            out = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
            return out.last_hidden_state.float().numpy()

    encode_common.report(args, f"torch {torch.__version__}", forward)


if __name__ == "__main__":
    main()
