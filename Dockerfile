# veld-coord, the coordination server, alone.
#
#   docker build -t veld-coord .
#   docker run -p 50051:50051 -p 50051:50051/udp -v veld-coord:/data veld-coord
#
# Needs no privilege and no writable root: compose.yaml runs it read-only with no capabilities.
# All that it keeps is in /data: its certificate, its key and the registry. docs/COORD.md
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        meson ninja-build pkg-config gcc g++ libc6-dev protobuf-c-compiler \
        libsodium-dev libgrpc-dev libprotobuf-c-dev liblmdb-dev libssl-dev \
        libglib2.0-dev libjansson-dev libmicrohttpd-dev
COPY meson.build meson_options.txt /veld/
COPY proto /veld/proto
COPY src /veld/src
COPY docs/man /veld/docs/man
COPY packaging/systemd /veld/packaging/systemd
RUN meson setup /build /veld --buildtype=release --strip --prefix=/usr \
        -Ddaemon=false -Dtests=false -Dbench=false -Dcoord=enabled \
        -Dipsec_mb=disabled \
    && ninja -C /build veld-coord \
    && strip /build/veld-coord

FROM ${BASE}
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        libgrpc29 libprotobuf-c1 liblmdb0 libsodium23 libssl3 libglib2.0-0 libjansson4 libmicrohttpd12 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
    && mkdir -m 700 /data && chown 65532:65532 /data
COPY --from=build /build/veld-coord /usr/bin/veld-coord
COPY LICENSE /usr/share/doc/veld-coord/LICENSE
COPY src/coord/LICENSE /usr/share/doc/veld-coord/LICENSE.coord

USER 65532:65532
VOLUME /data
EXPOSE 50051/tcp 50051/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["veld-coord", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["veld-coord"]
CMD ["--listen", ":50051", "--db", "/data/peers.db"]
