# Reelway and the programs it runs: docker build -t reelway .
#
# There are no cache mounts and no VOLUME, because Railway builds this file too and refuses both
# in the form in which Docker has them.

ARG RUST=1.95
# ffmpeg 5.1, the version that every test runs with; Debian mends it until 2028.
ARG DEBIAN=bookworm

FROM rust:${RUST}-${DEBIAN} AS build
WORKDIR /build

# The dependencies alone, over empty crates: a change of the code does not build them again.
COPY Cargo.toml Cargo.lock ./
COPY crates/ffmpeg/Cargo.toml crates/ffmpeg/
RUN mkdir -p src crates/ffmpeg/src \
    && touch src/lib.rs crates/ffmpeg/src/lib.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cargo build --release --locked

COPY . .
# COPY keeps times, and cargo takes a file that is older than its last build for unchanged.
RUN touch src/lib.rs src/main.rs crates/ffmpeg/src/lib.rs \
    && cargo build --release --locked

FROM debian:${DEBIAN}-slim

# Not pinned: a rebuild shall bring Debian's security updates of ffmpeg.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates ffmpeg fonts-dejavu-core \
        libheif-examples libvips-tools \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 reelway \
    && useradd --system --uid 10001 --gid reelway --no-create-home --home-dir /data \
        --shell /usr/sbin/nologin reelway \
    && install -d -o reelway -g reelway -m 0750 /data

COPY --from=build /build/target/release/reelway /usr/local/bin/reelway

# By number, so that Kubernetes can see that it is not root.
USER 10001:10001

# The default folder ./data is /data here. REELWAY_DATA_DIR is left alone, because it would win
# over the mount path that Railway gives a volume.
WORKDIR /

EXPOSE 3000
ENTRYPOINT ["reelway"]
# Not by PORT: a variable would also ask for an API key when the image runs a one-shot command.
CMD ["serve", "--bind", "::"]
