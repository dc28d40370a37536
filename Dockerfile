# SPDX-License-Identifier: MIT
# docker build -t convolved . && docker run --rm --read-only -p 127.0.0.1:8080:8080 convolved
FROM debian:12-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends \
        gcc libc6-dev make pkg-config libmicrohttpd-dev libcjson-dev libgnutls28-dev zlib1g-dev libseccomp-dev \
        libpng-dev libjpeg62-turbo-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /convolved
COPY . .
RUN make -s -j"$(nproc)" build/convolved && strip build/convolved

FROM debian:12-slim
RUN apt-get update && apt-get install --yes --no-install-recommends libmicrohttpd12 libcjson1 libgnutls30 zlib1g libseccomp2 \
        libpng16-16 libjpeg62-turbo \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /convolved/build/convolved /usr/local/bin/convolved
# Nothing is written to disk, so the root may be read-only, and any user will do.
USER 65534:65534
ENV CONVOLVED_LISTEN=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=2s CMD ["/usr/local/bin/convolved", "--healthcheck"]
ENTRYPOINT ["/usr/local/bin/convolved"]
