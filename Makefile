# make                build/sidecast
# make check          all tests, with what they need installed if it is missing
# make check-unit     those that need nothing but a C compiler and the libraries
# make check-faults   every call that can lack memory or descriptors, in the whole daemon, takes minutes (make check: as many as fit in 40 s)
# make check-tsan     what threads share, under ThreadSanitizer
# make check-frontends  what docs/front-ends.md says of HAProxy, Apache, lighttpd, Caddy and h2o (installs them)
# make check-browser  the demo and sidecast.js in Chromium (needs chromium, node and npm)
# make compose-check  the services of compose.yaml, built, started and tried (needs docker or podman)
# make demo           the demo on http://127.0.0.1:$(PORT)/
# make soak           all that happens to a server, for $(SOAK_SECONDS) seconds (with CI set, make check has 120 of it)
# make bench          the measurements of bench/
# make fuzz           each fuzz target for $(FUZZ_SECONDS) seconds (needs clang)
# make install        under $(DESTDIR)$(PREFIX)
# make lint format deps clean
#
# CFLAGS, CPPFLAGS, LDFLAGS, LDLIBS, DESTDIR and PREFIX are the user's. With CI set, warnings are errors.

CC ?= cc
CLANG ?= clang
CLANG_FORMAT ?= clang-format
INSTALL ?= install
PREFIX ?= /usr/local
PORT ?= 8080
FUZZ_SECONDS ?= 20
SOAK_SECONDS ?= 1800
CFLAGS ?= -O2 -g
VERSION := 0.1.0

LIBRARIES := libzmq jansson inih libsodium cjose
LIBS := $(shell pkg-config --libs $(LIBRARIES) 2>/dev/null || echo -lzmq -ljansson -linih -lsodium -lcjose -lcrypto) -lev -lfcgi
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wformat=2 -fno-common $(if $(CI),-Werror)
BASE := -std=gnu11 $(WARNINGS) -iquote include -D_GNU_SOURCE -DSIDECAST_VERSION='"$(VERSION)"' -pthread \
        $(shell pkg-config --cflags $(LIBRARIES) 2>/dev/null)
DEPENDENCIES = -MMD -MP
HARDENING := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# Without optimization beyond -O1 and without FORTIFY, so that tests can wrap calls.
CHECK_FLAGS := -O1 -g $(SANITIZE) -U_FORTIFY_SOURCE
TSAN_FLAGS := -O1 -g -fsanitize=thread -fno-omit-frame-pointer -U_FORTIFY_SOURCE
FUZZ_FLAGS := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined

MODULES := $(filter-out main,$(patsubst src/%.c,%,$(wildcard src/*.c)))
TESTS := $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

all: build/sidecast

# --- the program ---

build/sidecast: $(MODULES:%=build/release/%.o) build/release/main.o
	$(CC) $(CFLAGS) -pie -Wl,-z,relro,-z,now $(LDFLAGS) -o $@ $^ $(LIBS) $(LDLIBS) -pthread

build/release/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(DEPENDENCIES) $(HARDENING) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# --- the tests: program and tests under AddressSanitizer and UndefinedBehaviorSanitizer ---

build/check/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(DEPENDENCIES) $(CPPFLAGS) $(CHECK_FLAGS) -c -o $@ $<

build/check/sidecast: $(MODULES:%=build/check/%.o) build/check/main.o
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(LIBS) $(LDLIBS) -pthread

# Tests link an archive, so that one of its members can be replaced by an object of the test's own.
build/check/sidecast.a: $(MODULES:%=build/check/%.o)
	@rm -f $@
	$(AR) rcs $@ $^

# What a test replaces to count it or to let it fail.
MEMORY := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup
TEST_LDFLAGS_access := $(MEMORY)
TEST_LDFLAGS_archive := -Wl,--wrap=write,--wrap=fsync,--wrap=renameat,--wrap=close,--wrap=openat,--wrap=pthread_create
TEST_LDFLAGS_channel := -Wl,--wrap=history_after
TEST_LDFLAGS_wire := -Wl,--wrap=malloc
TEST_LDFLAGS_confirm := -Wl,--wrap=zmq_msg_init_size,--wrap=zmq_msg_send
TEST_LDFLAGS_crew := -Wl,--wrap=bell_init,--wrap=pthread_create
TEST_LDFLAGS_hub := -Wl,--wrap=message_create
TEST_LDFLAGS_decoder := -Wl,--wrap=fcntl
TEST_LDFLAGS_ingest := -Wl,--wrap=zmq_msg_recv
TEST_LDFLAGS_interests := $(MEMORY),--wrap=pattern_matches
TEST_LDFLAGS_subscriber := $(MEMORY)
TEST_LDFLAGS_watch_limits := $(MEMORY)
TEST_LDFLAGS_history_model := $(MEMORY)

build/check/test_%: tests/test_%.c build/check/sidecast.a
	$(CC) $(BASE) $(DEPENDENCIES) -iquote tests $(CPPFLAGS) $(CHECK_FLAGS) $(LDFLAGS) -o $@ $< build/check/sidecast.a \
	    $(TEST_LDFLAGS_$*) $(LIBS) $(LDLIBS) -lcmocka -pthread

# The whole daemon, in which any call of ours to a library can be made to fail (tests/faults/main.c).
FAULTS := malloc calloc realloc strdup strndup mmap memfd_create fallocate eventfd epoll_create1 epoll_ctl poll socket accept4 bind listen connect \
    setsockopt getsockopt getsockname recv send sendmsg sendto read write fsync rename renameat unlinkat flock stat lstat fstat chmod fchmod chown fopen \
    fdopen fclose fread open openat fcntl syscall getgrnam getaddrinfo getnameinfo pthread_create ev_default_loop ev_loop_new zmq_ctx_new zmq_socket \
    zmq_setsockopt zmq_bind zmq_connect zmq_socket_monitor zmq_msg_init_size cjose_jwk_create_oct_spec cjose_jwk_import_json \
    cjose_jws_import cjose_jws_verify cjose_base64url_decode
FAULT_OBJECTS := $(patsubst tests/faults/%.c,build/check/faults/%.o,$(wildcard tests/faults/*.c)) build/check/faults/daemon_main.o

build/check/faults/%.o: tests/faults/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(DEPENDENCIES) -iquote tests/faults $(CPPFLAGS) $(CHECK_FLAGS) -c -o $@ $<

build/check/faults/daemon_main.o: src/main.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(DEPENDENCIES) -Wno-missing-prototypes -Dmain=daemon_main $(CPPFLAGS) $(CHECK_FLAGS) -c -o $@ $<

check-faults: build/check/faults/faults
	FAULTS_ALL=1 build/check/faults/faults

build/check/faults/faults: $(FAULT_OBJECTS) build/check/sidecast.a
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(FAULTS:%=-Wl,--wrap=%) $(LIBS) $(LDLIBS) -pthread

# The same target is a libFuzzer program (make fuzz) and, with a main of ours, one that replays its corpus (make check).
build/check/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c build/check/sidecast.a
	$(CC) $(BASE) -iquote tests $(CPPFLAGS) $(CHECK_FLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) $(LDLIBS) -lcmocka -pthread

unit-programs: $(TESTS:%=build/check/%) $(FUZZERS:%=build/check/%)

check-unit: unit-programs
	tests/run.sh unit

# In steps, so that what is missing is there before anything is built. The fuzzers run in CI, which has clang (make deps).
check:
	scripts/deps.sh build run check
	$(MAKE) unit-programs build/check/faults/faults build/check/sidecast build/sidecast tsan-programs $(if $(CI),fuzz-programs)
	FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run.sh lint unit faults $(if $(CI),fuzz) php-client php-client-server e2e e2e-workers tsan protocol recipes $(if $(CI),soak)

lint:
	tests/run.sh lint

# In a real browser; needs chromium, node and npm besides, and takes over a minute.
check-browser: build/check/sidecast
	tests/run.sh browser

# Clients that come and go, publishers that crash, reloads, restarts and kills; at the end the books are closed (tests/soak/Soak.php).
soak:
	scripts/deps.sh build run check
	$(MAKE) build/sidecast build/check/sidecast
	SOAK_SECONDS=$(SOAK_SECONDS) php tests/soak/run.php

# Behind other front ends than nginx; they are installed if they are missing, and none is started as a service.
check-frontends:
	scripts/deps.sh build run check frontends
	$(MAKE) build/check/sidecast
	tests/run.sh frontends

# The services of compose.yaml, really built and started; needs docker or podman.
compose-check:
	scripts/compose-check.sh

# --- threads, under ThreadSanitizer ---

# Tests of what threads share; the end-to-end tests run with this daemon besides.
TSAN_TESTS := test_bell test_inbox test_hub test_crew test_offers test_saver test_token_threads

build/tsan/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(DEPENDENCIES) $(CPPFLAGS) $(TSAN_FLAGS) -c -o $@ $<

build/tsan/sidecast: $(MODULES:%=build/tsan/%.o) build/tsan/main.o
	$(CC) $(TSAN_FLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) $(LDLIBS) -pthread

build/tsan/sidecast.a: $(MODULES:%=build/tsan/%.o)
	@rm -f $@
	$(AR) rcs $@ $^

build/tsan/test_%: tests/test_%.c build/tsan/sidecast.a
	$(CC) $(BASE) $(DEPENDENCIES) -iquote tests $(CPPFLAGS) $(TSAN_FLAGS) $(LDFLAGS) -o $@ $< build/tsan/sidecast.a \
	    $(TEST_LDFLAGS_$*) $(LIBS) $(LDLIBS) -lcmocka -pthread

# The daemon, but for an inbox without its lock: a race that has to be reported, suppressions and all.
build/tsan/unlocked/inbox.o: src/inbox.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(DEPENDENCIES) -include tests/tsan/unlocked.h $(CPPFLAGS) $(TSAN_FLAGS) -c -o $@ $<

build/tsan/unlocked/sidecast: build/tsan/unlocked/inbox.o $(patsubst %,build/tsan/%.o,$(filter-out inbox,$(MODULES))) build/tsan/main.o
	$(CC) $(TSAN_FLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) $(LDLIBS) -pthread

tsan-programs: $(TSAN_TESTS:%=build/tsan/%) build/tsan/sidecast build/tsan/unlocked/sidecast

check-tsan: tsan-programs
	tests/run.sh tsan

# --- fuzzing ---

build/fuzz/%.o: src/%.c
	@mkdir -p $(@D)
	$(CLANG) $(BASE) $(DEPENDENCIES) $(CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<

build/fuzz/sidecast.a: $(MODULES:%=build/fuzz/%.o)
	@rm -f $@
	$(AR) rcs $@ $^

build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c build/fuzz/sidecast.a
	$(CLANG) $(BASE) -iquote tests $(CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LIBS) $(LDLIBS) -lcmocka -pthread

fuzz-programs: $(FUZZERS:%=build/fuzz/%)

fuzz: fuzz-programs
	FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run.sh fuzz

# --- everything else ---

demo:
	scripts/deps.sh build run
	$(MAKE) build/sidecast
	demo/run.sh $(PORT)

bench:
	scripts/deps.sh build run bench
	$(MAKE) build/sidecast
	bench/run.sh

SHARE = $(DESTDIR)$(PREFIX)/share/sidecast
DOC = $(DESTDIR)$(PREFIX)/share/doc/sidecast

# The documents keep the layout that they have here, with links to what is installed elsewhere, so that their own links lead somewhere.
install: build/sidecast
	$(INSTALL) -D -m 755 build/sidecast $(DESTDIR)$(PREFIX)/bin/sidecast
	$(INSTALL) -d $(SHARE)/nginx $(SHARE)/js $(DOC)/demo/public
	$(INSTALL) -m 644 nginx/* $(SHARE)/nginx
	$(INSTALL) -m 644 demo/public/sidecast.js $(SHARE)/js
	$(INSTALL) -m 644 docs/sidecast.conf.example $(SHARE)
	find php-client/composer.json php-client/README.md php-client/functions.php php-client/src php-client/laravel php-client/symfony \
	    -type f -exec $(INSTALL) -D -m 644 {} $(SHARE)/{} \;
	find README.md CHANGELOG.md LICENSE docs -type f -exec $(INSTALL) -D -m 644 {} $(DOC)/{} \;
	ln -sfn ../../sidecast/nginx $(DOC)/nginx
	ln -sfn ../../sidecast/php-client $(DOC)/php-client
	ln -sfn ../../../../sidecast/js/sidecast.js $(DOC)/demo/public/sidecast.js

format:
	$(CLANG_FORMAT) -i $(wildcard include/*.h src/*.c tests/*.[ch] tests/fuzz/*.c bench/*.[ch])

deps:
	scripts/deps.sh build run check $(if $(CI),fuzz)

clean:
	rm -rf build

-include $(wildcard build/*/*.d build/*/*/*.d)

.PHONY: all check check-browser check-faults check-frontends check-tsan check-unit compose-check unit-programs tsan-programs lint soak fuzz fuzz-programs demo bench install format deps clean
.DELETE_ON_ERROR:
.SECONDARY:
