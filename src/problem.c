#include "problem.h"

#include <stdarg.h>
#include <stdio.h>

_Bool problem_set(struct problem *problem, int status, const char *code, const char *format, ...)
{
    va_list arguments;

    problem->status = status;
    problem->code = code;
    problem->allow = NULL;
    problem->without_body = 0;
    va_start(arguments, format);
    vsnprintf(problem->message, sizeof problem->message, format, arguments);
    va_end(arguments);
    return 0;
}

_Bool problem_no_memory(struct problem *problem)
{
    return problem_set(problem, 500, "no_memory", "The server is short of memory; try again later.");
}
