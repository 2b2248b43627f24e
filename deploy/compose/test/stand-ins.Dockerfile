# Stands in for docker.io's images of PostgreSQL and Redis where no registry can be reached: both programs, as Debian has them, with
# what deploy/compose asks of those images.
ARG BASE
FROM ${BASE}
RUN apt-get update -q \
  && apt-get install -y -q --no-install-recommends postgresql redis-server \
  && rm -rf /var/lib/apt/lists/* /var/lib/postgresql/15 \
  && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ \
  && install -d -o postgres -g postgres -m 0700 /var/lib/postgresql/data
COPY --chmod=0755 postgres-entrypoint.sh /usr/local/bin/
USER postgres
STOPSIGNAL SIGINT
ENTRYPOINT ["postgres-entrypoint.sh"]
