/* SPDX-License-Identifier: Apache-2.0 */
/* weir: streams in object storage, from the command line. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int run(struct cli *cli)
{
    int code;
    int closed;

    if ((cli->command->flags & COMMAND_NO_STORE) == 0) {
        code = cli_settle(cli);
        if (code != 0)
            return code;
    }
    if ((cli->command->flags & COMMAND_OFFLINE) == 0) {
        code = cli_open(cli);
        if (code != 0)
            return code;
    }
    code = cli->command->run(cli);
    closed = cli_close(cli);
    if (code == EXIT_SUCCESS && closed != 0)
        code = closed;
    if (code == EXIT_SUCCESS && cli->signal != 0)
        code = EXIT_SIGNAL + cli->signal;
    return code;
}

/* What is closed of 0, 1 and 2 must not become a log or a socket that a
 * message is then printed into: it fails as a closed one does. */
static void hold_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
    struct cli cli = {.signal_fd = -1};
    int code;

    hold_standard_descriptors();
    /* A closed pipe is found out by the write that fails: the node gets its
     * orderly end before the process gets the usual one. */
    signal(SIGPIPE, SIG_IGN);

    if (weir_config_new(&cli.config, NULL) != 0)
        return cli_error(&cli, ": out of memory");
    code = cli_parse(&cli, argc, argv);
    if (code < 0)
        code = run(&cli);
    weir_config_free(cli.config);
    free(cli.given);

    (void)output_flush(&cli);
    if (cli.output_errno == EPIPE) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    if (cli.output_errno != 0) {
        cli.command = NULL;
        code = cli_error(&cli, ": write to stdout: %s",
                         strerror(cli.output_errno));
    }
    return code;
}
