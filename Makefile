# Thin: every target is one line over the scripts and CMake presets; see README.md.
PREFIX ?= /usr/local

all:
	scripts/setup.sh
	scripts/build.sh release houndstooth hound

demo:
	./demo

test:
	./check

bench:
	bench/run.sh

# What the pipeline runtime costs, at a size and at ten times the size.
bench-flow:
	scripts/setup.sh
	scripts/build.sh release bench_flow
	build/release/bench/bench_flow

# Pipelines from Python beside HyperNodes, pipefunc, Hamilton, Dask and Daft; see docs/performance.md.
bench-python:
	bench/python.sh

# Python wheels in dist/, each tried out in a fresh environment.
wheel:
	scripts/wheel.sh

lint:
	scripts/lint.sh

format:
	scripts/format.sh

fuzz:
	scripts/fuzz.sh

# DESTDIR is honoured, as packagers expect.
install:
	HT_CMAKE="-DCMAKE_INSTALL_PREFIX=$(PREFIX)" scripts/build.sh release houndstooth hound
	cmake --install build/release

clean:
	rm -rf build dist

.PHONY: all demo test bench bench-flow bench-python wheel lint format fuzz install clean
