scripts/setup.sh on a system without apt names what is missing instead of failing with a stray message.

  $ mkdir bin; for tool in sh sed grep; do ln -s "$(command -v $tool)" bin/$tool; done
  $ PATH=$PWD/bin sh "$SOURCE/scripts/setup.sh"
  setup: this is not a Debian or Ubuntu system, so nothing was installed. Missing here: cc cmake ninja pkg-config python3
  setup: Install with your package manager: a C11 compiler (gcc 12 or newer), cmake 3.25, ninja, pkg-config, Python 3.9
  ...
  setup:   gcc libc6-dev make * (glob)
  [1]

Where the tools and libraries are found, however they came, it is content.

  $ for tool in cc cmake ninja python3; do printf '#!/bin/sh\n' > bin/$tool; chmod +x bin/$tool; done
  $ cp bin/cc bin/pkg-config
  $ PATH=$PWD/bin sh "$SOURCE/scripts/setup.sh"
  $ printf '#!/bin/sh\n[ "$2" != sqlite3 ]\n' > bin/pkg-config
  $ PATH=$PWD/bin sh "$SOURCE/scripts/setup.sh" 2>&1 | head -1
  setup: this is not a Debian or Ubuntu system, so nothing was installed. Missing here: sqlite3

An unknown option is refused.

  $ sh "$SOURCE/scripts/setup.sh" --everything 2>&1 | head -1
  Installs the system packages that Houndstooth needs and that are missing; instant when all are there.

Without root and without sudo it says the command for an administrator.

  $ printf '#!/bin/sh\n' > bin/dpkg-query; printf '#!/bin/sh\necho 1000\n' > bin/id; cp bin/dpkg-query bin/apt-get; chmod +x bin/*
  $ PATH=$PWD/bin sh "$SOURCE/scripts/setup.sh"
  setup: packages are missing, and there is neither root nor sudo. Let an administrator run:
  setup:   apt-get update && apt-get install --no-install-recommends gcc * (glob)
  [1]
