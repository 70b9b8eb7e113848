// One end of a connection by libnice, to have something to compare with. Run by bench/nat/nice.py.
//
//   nice_agent CONTROLLING STUN-ADDRESS PORT
//
// CONTROLLING is 1 or 0. Credentials and candidates go as lines over stdout and stdin while they
// are gathered (trickle ICE); the last line is JSON: connected or not, ms from the start of
// gathering to the first pair selected, and the types of its candidates. stdin's end ends it.
#include <nice/agent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// s; libnice itself takes longer to give up.
enum { GIVE_UP = 10, COMPONENT = 1 };

struct end {
    GMainLoop *loop;
    NiceAgent *agent;
    guint stream;
    gint64 started;
    bool told;
};

static const char *type_name(const NiceCandidate *candidate)
{
    switch (candidate->type) {
    case NICE_CANDIDATE_TYPE_HOST: return "host";
    case NICE_CANDIDATE_TYPE_SERVER_REFLEXIVE: return "server-reflexive";
    case NICE_CANDIDATE_TYPE_PEER_REFLEXIVE: return "peer-reflexive";
    default: return "relayed";
    }
}

static void on_candidate(NiceAgent *agent, NiceCandidate *candidate, gpointer data)
{
    (void)data;
    g_autofree char *sdp = nice_agent_generate_local_candidate_sdp(agent, candidate);

    printf("candidate %s\n", sdp);
}

static void on_gathered(NiceAgent *agent, guint stream, gpointer data)
{
    (void)agent, (void)stream, (void)data;
    printf("done\n");
}

static void tell(struct end *end, const char *text)
{
    if (!end->told)
        printf("%s\n", text);
    end->told = true;
}

// The first pair selected: data could flow now.
static void on_pair(NiceAgent *agent, guint stream, guint component, NiceCandidate *local,
                    NiceCandidate *remote, gpointer data)
{
    struct end *end = data;
    double ms = (double)(g_get_monotonic_time() - end->started) / 1000.0;
    g_autofree char *text =
        g_strdup_printf("{\"connected\": true, \"ms\": %.1f, \"pair\": [\"%s\", \"%s\"]}", ms,
                        type_name(local), type_name(remote));

    (void)agent, (void)stream, (void)component;
    tell(end, text);
}

static gboolean on_timeout(gpointer data)
{
    tell(data, "{\"connected\": false}");
    return G_SOURCE_REMOVE;
}

static void on_data(NiceAgent *agent, guint stream, guint component, guint len, gchar *bytes,
                    gpointer data)
{
    (void)agent, (void)stream, (void)component, (void)len, (void)bytes, (void)data;
}

// One line of the other end.
static void hear(struct end *end, const char *line)
{
    char ufrag[260], password[260];

    if (sscanf(line, "credentials %259s %259s", ufrag, password) == 2) {
        nice_agent_set_remote_credentials(end->agent, end->stream, ufrag, password);
    } else if (g_str_has_prefix(line, "candidate ")) {
        NiceCandidate *candidate = nice_agent_parse_remote_candidate_sdp(
            end->agent, end->stream, line + strlen("candidate "));

        if (candidate) {
            GSList *list = g_slist_append(NULL, candidate);

            nice_agent_set_remote_candidates(end->agent, end->stream, COMPONENT, list);
            g_slist_free_full(list, (GDestroyNotify)nice_candidate_free);
        }
    } else if (!strcmp(line, "done")) {
        nice_agent_peer_candidate_gathering_done(end->agent, end->stream);
    }
}

static gboolean on_line(GIOChannel *channel, GIOCondition condition, gpointer data)
{
    struct end *end = data;

    (void)condition;
    do {
        g_autofree char *line = NULL;

        if (g_io_channel_read_line(channel, &line, NULL, NULL, NULL) != G_IO_STATUS_NORMAL) {
            g_main_loop_quit(end->loop);
            return G_SOURCE_REMOVE;
        }
        hear(end, g_strchomp(line));
    } while (g_io_channel_get_buffer_condition(channel) & G_IO_IN);
    return G_SOURCE_CONTINUE;
}

static bool start(struct end *end, bool controlling, const char *stun, guint port)
{
    g_autofree char *ufrag = NULL;
    g_autofree char *password = NULL;

    end->agent = nice_agent_new(g_main_loop_get_context(end->loop), NICE_COMPATIBILITY_RFC5245);
    g_object_set(end->agent, "stun-server", stun, "stun-server-port", port, "controlling-mode",
                 (gboolean)controlling, "upnp", FALSE, "ice-tcp", FALSE, "ice-trickle", TRUE,
                 NULL);
    g_signal_connect(end->agent, "new-candidate-full", G_CALLBACK(on_candidate), end);
    g_signal_connect(end->agent, "candidate-gathering-done", G_CALLBACK(on_gathered), end);
    g_signal_connect(end->agent, "new-selected-pair-full", G_CALLBACK(on_pair), end);
    end->stream = nice_agent_add_stream(end->agent, COMPONENT);
    nice_agent_attach_recv(end->agent, end->stream, COMPONENT,
                           g_main_loop_get_context(end->loop), on_data, end);
    if (!nice_agent_get_local_credentials(end->agent, end->stream, &ufrag, &password))
        return false;
    printf("credentials %s %s\n", ufrag, password);
    end->started = g_get_monotonic_time();
    return nice_agent_gather_candidates(end->agent, end->stream);
}

int main(int argc, char **argv)
{
    struct end end = {.loop = g_main_loop_new(NULL, FALSE)};
    GIOChannel *in = g_io_channel_unix_new(0);

    if (argc != 4) {
        fprintf(stderr, "usage: nice_agent CONTROLLING STUN-ADDRESS PORT\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    g_io_add_watch(in, G_IO_IN | G_IO_HUP, on_line, &end);
    g_timeout_add_seconds(GIVE_UP, on_timeout, &end);
    if (!start(&end, argv[1][0] == '1', argv[2], (guint)strtoul(argv[3], NULL, 10)))
        return 1;
    g_main_loop_run(end.loop);
    g_object_unref(end.agent);
    g_io_channel_unref(in);
    g_main_loop_unref(end.loop);
    return 0;
}
