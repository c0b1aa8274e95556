// llama.cpp doing what `engine run` does: open, first token, prefill, decode, peak of memory, as one line of figures.
// llama_cpp FILE THREADS PROMPT ANSWER
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#include "llama.h"

struct Clock {
    double wall = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    double cpu = [] {
        timespec t;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return t.tv_sec + t.tv_nsec * 1e-9;
    }();
};

static long peak_kib() {
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long kib = 0;
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, "VmHWM:", 6)) kib = atol(line + 6);
    if (status) fclose(status);
    return kib;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    const int threads = atoi(argv[2]), prompt = atoi(argv[3]), answer = atoi(argv[4]);
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    const Clock start;
    llama_backend_init();
    auto model_params = llama_model_default_params();
    model_params.n_gpu_layers = 0;
    llama_model *model = llama_model_load_from_file(argv[1], model_params);
    if (!model) {
        fprintf(stderr, "cannot open %s\n", argv[1]);
        return 1;
    }
    auto params = llama_context_default_params();
    params.n_ctx = prompt + answer + 8;
    params.n_batch = prompt;
    params.n_threads = params.n_threads_batch = threads;
    llama_context *context = llama_init_from_model(model, params);
    const int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
    auto decode = [&](std::vector<llama_token> tokens) {
        if (llama_decode(context, llama_batch_get_one(tokens.data(), (int) tokens.size()))) exit(1);
        volatile float seen = llama_get_logits_ith(context, -1)[0];
        (void) seen;
    };
    auto token = [&](int i) { return (llama_token) ((300 + i * 37L) % vocabulary); };
    decode({token(0)});
    const Clock opened;
    llama_memory_clear(llama_get_memory(context), true);
    std::vector<llama_token> tokens;
    for (int i = 0; i < prompt; i++) tokens.push_back(token(i));
    const Clock before_prompt;
    decode(tokens);
    const Clock after_prompt;
    llama_memory_clear(llama_get_memory(context), true);
    const Clock before_answer;
    for (int i = 0; i < answer; i++) decode({token(i)});
    const Clock after_answer;
    printf("open_wall %.4f open_cpu %.4f prefill_wall %.2f prefill_cpu %.2f decode_wall %.2f decode_cpu %.2f peak_kib %ld\n",
           opened.wall - start.wall, opened.cpu - start.cpu, prompt / (after_prompt.wall - before_prompt.wall),
           prompt / (after_prompt.cpu - before_prompt.cpu), answer / (after_answer.wall - before_answer.wall),
           answer / (after_answer.cpu - before_answer.cpu), peak_kib());
}
