# PHP with the demo's pages. They publish with php-client, by ext-zmq.

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libfcgi-bin php8.2-cli php8.2-fpm php8.2-zmq \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1900 sidecast \
    && usermod --append --groups sidecast www-data \
    && install -d -m 770 -g sidecast /run/sidecast
COPY docker/php-fpm.conf /etc/php/8.2/fpm/php-fpm.conf
COPY php-client /srv/php-client
COPY demo /srv/demo
USER www-data
CMD ["php-fpm8.2", "--nodaemonize"]
