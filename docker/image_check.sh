#!/usr/bin/env bash
# Build the image of docker/Dockerfile, start it and forecast through it, without a Docker engine
# and without a registry: Debian's buildah builds, and debootstrap makes the base.
#
#   docker/image_check.sh [base|build|check|clean|all]
#
# IMAGE_CHECK_TAG=gpu builds the image for GPUs, three times as large, which serves without one, too.
# Needs root, buildah and debootstrap, and about 12 GB under IMAGE_CHECK_FOLDER (for a GPU three
# times that), all of which `all` removes at its end.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${IMAGE_CHECK_FOLDER:-build/image-check}
port=${IMAGE_CHECK_PORT:-5055}
base=localhost/mods-base image=localhost/mods
sample=data/test/sample-test-w01h-s10m.tsv
export BUILDAH_ISOLATION=chroot
mkdir -p "$folder"
folder=$(realpath "$folder")

# vfs works everywhere, also inside a container; overlay takes a third of the disk.
tool=(buildah --root "$folder/storage" --runroot "$folder/run"
    --storage-driver "${IMAGE_CHECK_DRIVER:-vfs}")

make_base() { # A Debian with Python and nothing else
    local container tree
    container=$("${tool[@]}" from scratch)
    tree=$("${tool[@]}" mount "$container")
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$tree" \
        >"$folder/debootstrap.log"
    rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
    "${tool[@]}" commit --quiet "$container" "$base" >"$folder/base.id"
    "${tool[@]}" rm "$container" >"$folder/removed"
}

build() {
    # How this machine's pip finds packages holds inside, too.
    local file options=()
    for file in /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
        [ -f "$file" ] && options+=(--volume "$file:$file:ro")
    done
    # Docker's format: OCI's has no health check.
    "${tool[@]}" bud --format docker "${options[@]}" --build-arg "BASE=$base" \
        --build-arg "tag=${IMAGE_CHECK_TAG:-cpu}" \
        --ignorefile .dockerignore --file docker/Dockerfile --tag "$image" .
}

check() {
    local container root user started ready
    container=$("${tool[@]}" from --pull-never "$image")
    root=$("${tool[@]}" mount "$container")
    printf 'size: %s MB, of which the base is %s MB\n' "$(size_of "$root")" "$(size_of_image "$base")"
    user=$("${tool[@]}" run "$container" -- id --user)
    [ "$user" != 0 ] || fail "the service would run as root"

    mapfile -t command < <(configured Cmd)
    mapfile -t health < <(configured Healthcheck Test | tail -n +2 | sed "s/:5000/:$port/")
    started=$(date +%s%N)
    # The image's own command; of two --port the later one counts.
    setsid "${tool[@]}" run "$container" -- "${command[@]}" --port "$port" >"$folder/service.log" 2>&1 &
    service=$!
    trap 'kill -TERM -- -"$service" 2>/dev/null || true' EXIT
    until curl --silent --fail --output "$folder/ready.json" "http://127.0.0.1:$port/health/ready"; do
        kill -0 "$service" 2>/dev/null || fail "the service ended: $(tail -n 5 "$folder/service.log")"
        [ $(($(date +%s%N) - started)) -lt 180000000000 ] || fail "not ready within 180 s"
        sleep 0.1
    done
    ready=$(($(date +%s%N) - started))
    printf 'ready after: %s.%02d s\n' $((ready / 1000000000)) $((ready / 10000000 % 100))
    "${tool[@]}" run "$container" -- "${health[@]}" || fail "the health check fails beside a ready service"

    curl --silent --show-error --fail --header 'accept: text/csv' --form "data=@$sample" \
        --output "$folder/forecast.csv" "http://127.0.0.1:$port/v2/models/mods/predict/"
    python3 - "$folder/forecast.csv" <<'PYTHON'
import csv, sys

rows = list(csv.DictReader(open(sys.argv[1], newline="")))
assert rows, "the forecast has no rows"
assert all(float(row["lower"]) <= float(row["forecast"]) <= float(row["upper"]) for row in rows)
print(f"forecast: {len(rows)} rows from {rows[0]['origin']} to {rows[-1]['target']}")
PYTHON
    kill -TERM -- -"$service"
    wait "$service" || true
    trap - EXIT
    ! curl --silent --output "$folder/ready.json" "http://127.0.0.1:$port/health/live" ||
        fail "the service outlives its end"
    "${tool[@]}" rm "$container" >"$folder/removed"
    echo "the container works"
}

fail() {
    echo "image-check: $*" >&2
    exit 1
}

size_of() { du --summarize --block-size=1000000 "$1" | cut -f1; }

size_of_image() {
    local container
    container=$("${tool[@]}" from --pull-never "$1")
    size_of "$("${tool[@]}" mount "$container")"
    "${tool[@]}" rm "$container" >"$folder/removed"
}

configured() { # the words of a setting of the image, one a line
    "${tool[@]}" inspect --type image "$image" | python3 -c 'import functools, json, sys
config = json.load(sys.stdin)["Docker"]["config"]
print(*functools.reduce(dict.__getitem__, sys.argv[1:], config), sep="\n")' "$@"
}

clean() {
    "${tool[@]}" rm --all >/dev/null 2>&1 || true
    rm -rf "$folder"
}

case ${1:-all} in
    base) make_base ;;
    build) build ;;
    check) check ;;
    clean) clean ;;
    all)
        make_base
        build
        check
        clean
        ;;
    *) fail "'$1'; expected base, build, check, clean or all" ;;
esac
