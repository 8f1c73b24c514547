#!/bin/sh
# Installs SLURM from the system's packages, where this may be done, for the test that runs a job on it. Never fails: the
# test skips with a reason.
set -u
packages="slurm-wlm munge"

skip() { echo "SLURM is not installed: $1. Its test will be skipped."; exit 0; }

command -v slurmctld >/dev/null || [ -x /usr/sbin/slurmctld ] && exit 0
command -v apt-get >/dev/null || skip "there is no apt-get for its packages ($packages)"
[ "$(id -u)" = 0 ] || skip "its daemons need root"
echo "Installing SLURM: $packages"
apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $packages >/dev/null || skip "apt-get could not install $packages"
