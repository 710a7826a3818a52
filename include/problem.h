/* problem: why a request is refused, in the words its sender reads. */
#ifndef PROBLEM_H
#define PROBLEM_H

struct problem {
    int status;           /* HTTP status code */
    const char *code;     /* stable, lower_case_words; a constant */
    const char *allow;    /* with 405: the methods that are; a constant */
    char message[192];    /* what was expected or what to do; UTF-8, never the client's own bytes */
    _Bool without_body;   /* told by headers alone: HEAD asks for no more (RFC 3875, 4.3.3) */
};

/* Fills `problem`, cutting a long message; always false, so that a check can `return problem_set(...)`. */
_Bool problem_set(struct problem *problem, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* 500 no_memory; always false. */
_Bool problem_no_memory(struct problem *problem);

#endif
