#!/bin/sh
# Runs a command as a container of docker-compose.yml would: as user 10001 without any capability, on a file system that can only be
# read but for the folders that are named. Needs root, and a kernel that lets it make a mount namespace.
#   cage.sh WRITABLE[:WRITABLE…] COMMAND…
set -e
writable=$1; shift
if [ -z "$OPENBOOK_TEST_CAGED" ]; then
  export OPENBOOK_TEST_CAGED=1
  exec unshare --mount "$0" "$writable" "$@"
fi
unset OPENBOOK_TEST_CAGED
mount --make-rprivate /
for folder in $(echo "$writable" | tr ':' ' '); do mount --bind "$folder" "$folder"; done
# A Python of root's own can be run by nobody else: it alone is shown.
home=$(dirname "$(dirname "$(dirname "$(dirname "$(readlink -f "$OPENBOOK_TEST_PYTHON")")")")")
if [ "$(stat -c %a /root)" = 700 ] && [ "${home#/root/}" != "$home" ]; then
  mkdir -p /mnt && mount -t tmpfs tmpfs /mnt && mkdir /mnt/python && mount --bind "$home" /mnt/python
  mount -t tmpfs -o mode=755 tmpfs /root && mkdir -p "$home" && mount --bind /mnt/python "$home"
fi
mount -o remount,bind,ro /
exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
