"""ONNX Runtime on the CPU, f32: the model exported by torch from the same safetensors file, kept in --work."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import encode_common
import numpy as np
import onnxruntime


def export(model: pathlib.Path, path: pathlib.Path) -> None:
    """Writes the ONNX file; called in a process of its own, so that torch's memory is not counted as ONNX Runtime's."""
    import torch
    from transformers import AutoModel

    class LastHidden(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = AutoModel.from_pretrained(model, attn_implementation="eager").eval().float()

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    ids = torch.tensor([[101, 2460, 3793, 102], [101, 2178, 102, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    names = ["input_ids", "attention_mask", "last_hidden_state"]
    new = path.with_suffix(".new")
    torch.onnx.export(
        LastHidden(), (ids, mask), str(new), input_names=names[:2], output_names=names[2:], opset_version=17,
        dynamic_axes={name: {0: "batch", 1: "length"} for name in names}, dynamo=False,
    )  # fmt: skip
    new.rename(path)


def main() -> None:
    args = encode_common.arguments()
    path = args.work / "model.onnx"
    if not path.exists():
        args.work.mkdir(parents=True, exist_ok=True)
        code = "import encode_onnx, pathlib, sys; encode_onnx.export(*map(pathlib.Path, sys.argv[1:]))"
        command = [sys.executable, "-W", "ignore", "-c", code, str(args.model.resolve()), str(path.resolve())]
        subprocess.run(command, check=True, cwd=pathlib.Path(__file__).parent, stdout=sys.stderr)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def forward(ids: np.ndarray, mask: np.ndarray) -> object:
        return session.run(None, {"input_ids": ids, "attention_mask": mask})[0]

    encode_common.report(args, f"onnxruntime {onnxruntime.__version__}", forward)


if __name__ == "__main__":
    main()
