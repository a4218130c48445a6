// llama.cpp's part of engine.py: continues prompts in parallel sequences, a new prompt as soon as a sequence is done.
//
//     engine_llama MODEL.gguf NEW THREADS PARALLEL FLASH UNIFIED KV UBATCH [show] < IDS
//
// IDS has the token ids of a prompt on each line. NEW tokens follow each prompt, the most likely ones; no token ends a
// text. NEW of 0 scores instead: the negative log-likelihood of every token after a prompt's first, in nats. FLASH and UNIFIED (one key-value cache for all sequences) are 0 or 1, KV is f16 or f32. Prints one JSON object;
// with `show`, the new ids of each prompt on a line before.

#include "llama.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

using Ids = std::vector<llama_token>;

struct Sequence {
    int prompt = -1;  // -1: free
    llama_token last = 0;
};

[[noreturn]] static void fail(const std::string & what) {
    std::cerr << "engine_llama: " << what << '\n';
    std::exit(1);
}

static void add(llama_batch & batch, llama_token token, int position, int sequence, bool logits) {
    const int i = batch.n_tokens++;
    batch.token[i] = token;
    batch.pos[i] = position;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = sequence;
    batch.logits[i] = logits;
}

int main(int count, char ** given) {
    if (count < 9) {
        fail("usage: engine_llama MODEL.gguf NEW THREADS PARALLEL FLASH UNIFIED KV UBATCH [show] < IDS");
    }
    const int fresh = std::atoi(given[2]), threads = std::atoi(given[3]), parallel = std::atoi(given[4]);
    const bool show = count > 9 && std::string(given[9]) == "show";
    std::vector<Ids> prompts;
    size_t longest = 0, read = 0;
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream numbers(line);
        Ids ids;
        for (llama_token id; numbers >> id;) {
            ids.push_back(id);
        }
        longest = std::max(longest, ids.size());
        read += ids.size();
        prompts.push_back(std::move(ids));
    }

    llama_log_set([](ggml_log_level level, const char * text, void *) {
        if (level == GGML_LOG_LEVEL_ERROR) {
            std::fputs(text, stderr);
        }
    }, nullptr);
    llama_backend_init();
    const auto start = std::chrono::steady_clock::now();
    llama_model * model = llama_model_load_from_file(given[1], llama_model_default_params());
    if (!model) {
        fail(std::string("cannot load ") + given[1]);
    }
    const int batch_size = 2048;
    llama_context_params params = llama_context_default_params();
    // Caches that are not unified are split evenly, in units of 256 positions.
    const uint32_t each = (longest + fresh + 255) / 256 * 256;
    params.n_ctx = each * parallel;
    params.n_batch = batch_size;
    params.n_ubatch = std::atoi(given[8]);
    params.n_seq_max = parallel;
    params.n_threads = params.n_threads_batch = threads;
    params.flash_attn_type = std::atoi(given[5]) ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params.kv_unified = std::atoi(given[6]);
    params.type_k = params.type_v = std::string(given[7]) == "f32" ? GGML_TYPE_F32 : GGML_TYPE_F16;
    llama_context * context = llama_init_from_model(model, params);
    if (!context) {
        fail("cannot make a context");
    }
    const int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
    llama_memory_t memory = llama_get_memory(context);
    llama_batch batch = llama_batch_init(batch_size, 0, 1);
    const auto loaded = std::chrono::steady_clock::now();

    std::vector<Sequence> sequences(parallel);
    std::vector<Ids> made(prompts.size());
    size_t next = 0, done = 0;
    // Computes the batch and takes the most likely token for each of its places that asked for logits.
    auto compute = [&] {
        if (batch.n_tokens && llama_decode(context, batch)) {
            fail("llama_decode failed");
        }
        for (int i = 0; i < batch.n_tokens; i++) {
            if (!batch.logits[i]) {
                continue;
            }
            const float * logits = llama_get_logits_ith(context, i);
            const llama_token best = std::max_element(logits, logits + vocabulary) - logits;
            Sequence & sequence = sequences[batch.seq_id[i][0]];
            sequence.last = best;
            Ids & ids = made[sequence.prompt];
            ids.push_back(best);
            if (int(ids.size()) == fresh) {
                llama_memory_seq_rm(memory, batch.seq_id[i][0], -1, -1);
                sequence.prompt = -1;
                done++;
            }
        }
        batch.n_tokens = 0;
    };
    // Scores the prompts from `next` on, as many as fit into a batch and into the sequences.
    double nll = 0;
    auto score = [&] {
        const size_t first = next;
        std::vector<llama_token> after;
        for (int s = 0; s < parallel && next < prompts.size(); s++) {
            const Ids & ids = prompts[next];
            if (batch.n_tokens + int(ids.size()) > batch_size) {
                break;
            }
            next++;
            for (size_t i = 0; i < ids.size(); i++) {
                add(batch, ids[i], i, s, i + 1 < ids.size());
                if (i + 1 < ids.size()) {
                    after.push_back(ids[i + 1]);
                }
            }
        }
        if (llama_decode(context, batch)) {
            fail("llama_decode failed");
        }
        const float * logits = llama_get_logits(context);
        #pragma omp parallel for num_threads(threads) reduction(+ : nll)
        for (size_t i = 0; i < after.size(); i++) {
            const float * row = logits + i * vocabulary;
            const float most = *std::max_element(row, row + vocabulary);
            double sum = 0;
            for (int t = 0; t < vocabulary; t++) {
                sum += std::exp(row[t] - most);
            }
            nll += std::log(sum) + most - row[after[i]];
        }
        batch.n_tokens = 0;
        for (int s = 0; s < parallel; s++) {
            llama_memory_seq_rm(memory, s, -1, -1);
        }
        done += next - first;
    };
    while (fresh == 0 && done < prompts.size()) {
        score();
    }
    while (done < prompts.size()) {
        for (int s = 0; s < parallel && next < prompts.size(); s++) {
            if (sequences[s].prompt >= 0) {
                continue;
            }
            const Ids & ids = prompts[next];
            if (batch.n_tokens + int(ids.size()) > batch_size) {
                compute();
            }
            sequences[s].prompt = next++;
            for (size_t i = 0; i < ids.size(); i++) {
                add(batch, ids[i], i, s, i + 1 == ids.size());
            }
        }
        compute();
        for (int s = 0; s < parallel; s++) {
            const int prompt = sequences[s].prompt;
            if (prompt >= 0) {
                add(batch, sequences[s].last, prompts[prompt].size() + made[prompt].size() - 1, s, true);
            }
        }
        compute();
    }
    const auto end = std::chrono::steady_clock::now();
    size_t new_tokens = 0;
    for (const Ids & ids : made) {
        new_tokens += ids.size();
        for (size_t i = 0; show && i < ids.size(); i++) {
            std::printf("%d%c", ids[i], i + 1 == ids.size() ? '\n' : ' ');
        }
    }
    const auto seconds = [](auto from, auto to) { return std::chrono::duration<double>(to - from).count(); };
    std::printf("{\"load_seconds\": %.3f, \"seconds\": %.3f, \"prompt_tokens\": %zu, \"new_tokens\": %zu, \"nll\": %.3f}\n",
                seconds(start, loaded), seconds(loaded, end), read, new_tokens, nll);
}
