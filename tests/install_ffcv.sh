#!/bin/sh
# Installs FFCV and the system packages it compiles against, where this may be done. Never fails: the tests that need FFCV
# skip with a reason.  usage: install_ffcv.sh UV PYTHON
set -u
uv=$1 python=$2
packages="libopencv-dev libturbojpeg0-dev pkg-config g++"

skip() { echo "FFCV is not installed: $1. Its tests will be skipped."; exit 0; }

if ! pkg-config --exists opencv4 libturbojpeg 2>/dev/null; then
    command -v apt-get >/dev/null || skip "its system packages ($packages) are missing and there is no apt-get"
    if [ "$(id -u)" = 0 ]; then as_root=""; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else
        skip "its system packages ($packages) are missing and need an administrator"
    fi
    echo "Installing FFCV's system packages: $packages"
    $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        $as_root apt-get install -y -qq --no-install-recommends $packages >/dev/null || skip "apt-get could not install $packages"
fi
"$uv" pip install --python "$python" --require-hashes --requirement requirements-ffcv.lock || skip "it does not build here"
