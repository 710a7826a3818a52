# Sidecast: built in the first stage, with nothing but the program and its libraries in the second.

FROM debian:bookworm-slim AS build
WORKDIR /build
COPY scripts/deps.sh scripts/
RUN apt-get update && scripts/deps.sh build
COPY Makefile ./
COPY include include
COPY src src
RUN make

FROM debian:bookworm-slim
# All containers meet in /run/sidecast, a volume that takes its owner and mode from here: the same in each image.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libcjose0 libev4 libfcgi0ldbl libinih1 libjansson4 libsodium23 libzmq5 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1900 sidecast \
    && useradd --uid 1901 --gid sidecast --no-create-home --shell /usr/sbin/nologin sidecast \
    && install -d -m 770 -g sidecast /run/sidecast \
    && install -d -m 700 -o sidecast -g sidecast /var/lib/sidecast
COPY --from=build /build/build/sidecast /usr/local/bin/
COPY docker/sidecast.ini /etc/sidecast.ini
USER sidecast
CMD ["sidecast", "-c", "/etc/sidecast.ini"]
