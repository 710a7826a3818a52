# nginx with Sidecast's snippets and the demo's files. It reaches sidecast's socket by the group, php-fpm's as the same user.

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends curl nginx-light \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1900 sidecast \
    && usermod --append --groups sidecast www-data \
    && install -d -m 770 -g sidecast /run/sidecast
COPY nginx/sidecast-*.conf /etc/nginx/snippets/
# A container logs to its standard output.
RUN sed -i 's|/var/log/nginx/sidecast.log|/dev/stdout|' /etc/nginx/snippets/sidecast-*.conf
COPY docker/nginx.conf /etc/nginx/nginx.conf
COPY demo/public /srv/demo/public
USER www-data
EXPOSE 8080
CMD ["nginx", "-e", "/dev/stderr", "-g", "daemon off;"]
