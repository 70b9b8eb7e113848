#include "cli/options.h"

int main(int argc, char **argv)
{
    struct veld_cli cli;
    int rc = veld_cli_parse(&cli, argc, argv);
    return rc < 0 ? cli.command->run(&cli) : rc;
}
