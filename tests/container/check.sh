#!/usr/bin/env bash
# Builds the image as the Dockerfile says, without a Docker engine, and holds it to what docs/running.md promises.
# Needs root, buildah, debootstrap, 30 GB and half an hour. The base image is made of Debian's packages and named as the
# FROM line, so that no registry is asked; packages come from PyPI. All is kept in one folder, the first argument, of which
# the base stays for the next time. STORAGE_DRIVER=vfs is for machines that cannot stack layers, and takes 20 GB more.
set -euo pipefail
cd "$(dirname "$0")/../.."
for tool in buildah debootstrap unshare; do
  command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 0; }
done
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 0; }

work=$(realpath "${1:-$(mktemp -d)}")
base=$(awk '/^FROM .* AS slim$/ {print $2}' Dockerfile)
export BUILDAH_ISOLATION=chroot CONTAINERS_STORAGE_CONF=$work/storage.conf TMPDIR=$work/tmp
unset STORAGE_OPTS
say() { printf '\n== %4d s  %s\n' "$SECONDS" "$*"; }
drop() { # containers before their files, since folders of this machine may be mounted in them
  buildah rm --all >/dev/null && buildah rmi --all --force >/dev/null
  rm -rf "$work"/{storage,storage.conf,run,tmp,context,checkout}
}
mkdir -p "$work/tmp"
printf '[storage]\ndriver = "%s"\ngraphroot = "%s"\nrunroot = "%s"\n' \
  "${STORAGE_DRIVER:-overlay}" "$work/storage" "$work/run" >"$CONTAINERS_STORAGE_CONF"
trap drop EXIT

say "base image $base, of Debian's packages"
if [ ! -e "$work/base/usr/bin/python3" ]; then
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$work/base" >"$work/debootstrap.log"
fi
cp /etc/ssl/certs/ca-certificates.crt "$work/base/etc/ssl/certs/" # those that this host trusts
container=$(buildah from scratch)
buildah copy --quiet "$container" "$work/base" / >/dev/null
buildah config --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt "$container"
buildah commit --quiet --rm "$container" "docker.io/library/$base" >/dev/null

say "build"
rm -rf "$work/context" && mkdir -p "$work/context"
git ls-files -z | tar --create --null --files-from=- | tar --extract --directory "$work/context"
mkdir -p "$work/context/data/raw" "$work/context/cloud" # what must not get in
for secret in data/raw/letter.pdf cloud/.env .env id.key; do echo SECRET-OF-SOMEBODY >"$work/context/$secret"; done
# Older versions of buildah take the name of a stage for that of an image.
buildah build --quiet --pull-never --layers=false --build-arg "SYSTEM=$base" --tag warraq "$work/context" >/dev/null
say "built, $(buildah images --format '{{.Size}}' localhost/warraq)"

start() { buildah from --pull-never localhost/warraq; }
run() { buildah run "$@"; }

say "no secret and no paper inside"
container=$(start)
run "$container" -- bash -c '! grep -r --files-with-matches --exclude check.sh SECRET-OF-SOMEBODY /workspace'

say "root, no mount, no git: the demo on 16 documents"
run "$container" -- make demo DOCUMENTS=16 2>&1 | tail -n 20
buildah rm "$container" >/dev/null

say "another user, no mount"
container=$(start)
run --user 12345:12345 "$container" -- bash -c \
  'id -u && make status && warraq synth data --documents 3 && warraq prepare && dvc repro --quiet render && test -s data/pages/pages.jsonl'

say "a checkout of somebody else, newer than the image, mounted, without network"
rm -rf "$work/checkout" && git clone --quiet . "$work/checkout" && chown -R 4321:4321 "$work/checkout"
unshare --net buildah run --user 4321:4321 --volume "$work/checkout:/workspace" "$container" -- bash -c \
  'git log -1 --format=%h && make setup && warraq synth data --documents 3 && warraq prepare && dvc repro --quiet render && git status --short'
unshare --net buildah run --volume "$work/checkout:/workspace" "$container" -- bash -c 'git log -1 --format=%h && make status'
[ -z "$(find "$work/checkout" -not -uid 4321 -not -uid 0)" ]
say "all of it holds"
