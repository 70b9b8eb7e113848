#include "cli/options.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Started without standard input, output or error, the next files opened would be these. */
static void open_standard_files(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv)
{
    struct veld_cli cli;
    const struct rlimit none = {0};
    open_standard_files();
    setrlimit(RLIMIT_CORE, &none); /* keys and tokens pass through */
    int rc = veld_cli_parse(&cli, argc, argv);
    return rc < 0 ? cli.command->run(&cli) : rc;
}
