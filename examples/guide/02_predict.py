"""predict by rows and predict_batch over a float64 column: 02_predict.c in Python.

    02_predict.py [--json] [ROWS]

The batch method reads its column as a numpy array and gives one back, both without a copy.
"""

from __future__ import annotations

import math
import sys

import houndstooth as daft
import numpy as np
from guide import digest, measure, parse, report
from houndstooth import DataType, Series


class Loaded:
    """A logistic regression."""

    weight, bias = 0.25, -1.0

    def predict(self, x: float) -> float:
        return 1 / (1 + math.exp(-(self.weight * x + self.bias)))

    def predict_batch(self, x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(self.weight * x + self.bias)))


@daft.cls
class Model:
    def __init__(self, model_name: str):
        self.model = Loaded()

    def predict(self, x: float) -> float:
        return self.model.predict(x)

    @daft.method.batch(return_dtype=DataType.float64())
    def predict_batch(self, x: Series) -> Series:
        x_array = x.to_arrow().to_numpy()
        predictions = self.model.predict_batch(x_array)
        return Series.from_numpy(predictions)


def main() -> int:
    options = parse(1_000_000)
    x = Series.from_numpy(20.0 * np.arange(options.rows, dtype=np.float64) / options.rows)
    df = daft.from_pydict({"x": x})
    made, ways = [], []

    def row_by_row(model):
        return [model.predict(number) for number in x]

    def automatic(model):
        return df.with_column("pred", model.predict_batch(daft.col("x"))).collect().to_series("pred").to_numpy()

    def by_hand(model):
        return model.predict_batch(x).to_numpy()

    for way, rounds in ((row_by_row, 1), (automatic, 9), (by_hand, 9)):
        model = Model("my-model")
        result, took = measure(lambda way=way, model=model: way(model), model, rounds)
        made.append(np.asarray(result))
        ways.append(took)
    # numpy's exp and the C library's differ in the last digit here and there.
    same = np.allclose(made[0], made[1], rtol=1e-15) and np.array_equal(made[1], made[2])
    return report("02_predict", options, ways, same, digest(made[1]))


if __name__ == "__main__":
    sys.exit(main())
