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
	rm -rf build

.PHONY: all demo test bench lint format fuzz install clean
