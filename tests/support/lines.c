/*
 * Linked into every test: what it says leaves it line by line. Into a file a test would write when it ends, and one
 * that is killed or aborts would not have said which of its cases it was in.
 */
#include <stdio.h>

__attribute__((constructor)) static void write_by_lines(void)
{
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
}
