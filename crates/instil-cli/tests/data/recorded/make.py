"""Writes completions.jsonl and expected.jsonl beside this file.

    python3 make.py

`passages.jsonl` was written by hand, and so was the table below: each row is a passage, a task kind,
what a model like Bonito says, and what should become of it. Prompts follow from passage and kind.
Rows with the same passage and kind are samples 0, 1, ... of one prompt, in the order of the table.

Outcomes are `kept`, `kept+REPAIR`, or the word of a reject (crates/instil/src/reject.rs). A bad row
has one fault only, so that its word does not depend on the order of the checks. The labels of topic
classification are World, Sports, Business and Science; the other kinds are given none.
"""

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
LABELS = ["World", "Sports", "Business", "Science"]

KINDS = {
    "exqa": "extractive question answering",
    "mcqa": "multiple-choice question answering",
    "qg": "question generation",
    "qa": "question answering without choices",
    "ynqa": "yes-no question answering",
    "coref": "coreference resolution",
    "paraphrase": "paraphrase generation",
    "paraphrase_id": "paraphrase identification",
    "sent_comp": "sentence completion",
    "sentiment": "sentiment",
    "summarization": "summarization",
    "text_gen": "text generation",
    "topic_class": "topic classification",
    "wsd": "word sense disambiguation",
    "te": "textual entailment",
    "nli": "natural language inference",
}

REJECTS = {
    "truncated", "no_pipe", "several_pipes", "empty_instruction", "empty_response", "leaked_marker",
    "answer_not_in_text", "not_yes_no", "not_a_label", "not_an_option", "given_away",
    "number_not_in_text", "question_is_answer", "not_shorter", "duplicate",
}
REPAIRS = {"placeholder_variant", "context_inserted", "label_spelling"}

ROWS = []


def row(passage, task, instruction, response, outcome="kept"):
    """A completion that has both halves."""
    raw(passage, task, f"{instruction}\n<|pipe|>\n{response}", outcome)


def raw(passage, task, completion, outcome, finish_reason=None):
    """A completion as it stands."""
    ROWS.append((passage, task, completion, outcome, finish_reason))


# Law and rules

row("lease-deposit", "exqa",
    "Answer the question depending on the context.\nContext: {{context}};\nQuestion: In how many parts may the tenant pay the deposit?;\nAnswer:",
    "three equal instalments")
row("lease-deposit", "nli",
    "{{context}} Based on the previous passage, is it true that \"The landlord may keep the deposit when the lease ends in winter.\"? Yes, no, or maybe?",
    "No")
row("lease-deposit", "qa",
    "{{context}}\n\nHow much is the deposit?",
    "The tenant pays a deposit of 1,530 euros.", "number_not_in_text")
row("lease-pets", "nli",
    "Take the following as truth: {{context}}\nThen the following statement: \"A tenant with a hamster needs the landlord's consent.\" is true, false, or inconclusive?",
    "False")
row("lease-pets", "ynqa",
    "{{context}}\n\nMay the landlord refuse a second cat?",
    "It depends", "not_yes_no")
row("lease-pets", "te",
    "{{context}}\nQuestion: Does this imply that \"A tenant with a canary in a cage did not have to ask for permission.\"? Yes or no?",
    "Yes")
row("privacy-logs", "exqa",
    "I am reading this: {{ context }}\nFind the answer to: For how long are the log files stored?",
    "21 days", "kept+placeholder_variant")
row("privacy-logs", "nli",
    "Given {{context}} Should we assume that \"The operator knows the names of its visitors.\" is true? Yes, no, or maybe?",
    "Positive", "not_a_label")
row("privacy-logs", "ynqa",
    "Is a visitor's name written into the logs?\n\n{{context}}",
    "No")
row("insurance-bike", "ynqa",
    "EXAM\n1. Answer by yes or no.\n\nDocument: {{context}}\nQuestion: Does a bicycle worth 2,500 euros need an engraved number to be covered?",
    "Yes")
row("insurance-bike", "exqa",
    "{{context}}\n\nWhat has to be handed in together with a claim?",
    "a photograph of the bicycle", "answer_not_in_text")
row("insurance-bike", "mcqa",
    "Read what follows and choose the option that answers the question best.\nContext: {{context}}\nQuestion: When does the policy not pay for a stolen bicycle?\nOptions:\n- It was locked to a railing.\n- It was leaning unlocked against a wall.\n- It was worth 900 euros and had no number.\n- It was stolen by night.",
    "It was leaning unlocked against a wall.")
row("library-rules", "qa",
    "{{context}}\n\nWhen can a loan not be extended?",
    "A loan cannot be extended if somebody else has reserved the book or if it has been extended twice before.")
row("library-rules", "mcqa",
    "{{context}}\n\nFor how long are books lent at first?\nA. two weeks\nB. three weeks\nC. four weeks\nD. ten weeks",
    "C")
row("library-rules", "ynqa",
    "{{context}}\n\nIs there an upper limit to the charge for a late book?",
    "Yes")

# Medicine

row("leaflet-eye", "exqa",
    "Given the following context:\n\n{{context}}\n\nanswer the following question:\n\nWhat do the drops not contain?",
    "preservative")
row("leaflet-eye", "summarization",
    "{{context}}\n\nTL;DR:",
    "One drop in each eye twice a day, without lenses; discard after four weeks.")
raw("leaflet-eye", "qa",
    "{{context}}\n\nWhy must the bottle be thrown away after four weeks?\n<|pipe|>\nBecause the drops contain no preservative, germs can grow in the bottle once it has been",
    "truncated", "length")
row("trial-sleep", "exqa",
    "{{context}}\n\nHow many adults took part?",
    "212")
row("trial-sleep", "nli",
    "{{context}}\nUsing only the above description and what you know about the world, \"The second group slept longer at the end of the trial than at its start.\" is definitely correct, incorrect, or inconclusive?",
    "Correct")
row("trial-sleep", "summarization",
    "Summarize this document: {{context}}\nSummary:",
    "A fixed bedtime gave adults who sleep little 45 minutes more sleep.", "number_not_in_text")
row("nurse-note", "coref",
    "{{context}}\n\nIn the last sentence, whom does \"He\" refer to?",
    "Mr. Tamm")
row("nurse-note", "ynqa",
    "Text: {{Context}}\n\nAnswer the following yes/no question: did the patient eat in the morning? Yes or no?",
    "No", "kept+placeholder_variant")
row("nurse-note", "exqa",
    "When did Mr. Tamm fall asleep?\n<|context|>\n{{context}}",
    "about two o'clock", "leaked_marker")
row("kidney", "qa",
    "{{context}}\n\nWhat happens to most of the fluid that the kidneys filter?",
    "Nearly all of it returns to the blood.")
row("kidney", "qa",
    "{{context}}\n\nWhat happens to most of the fluid that the kidneys filter?",
    "Nearly all of it returns to the blood.", "duplicate")
row("kidney", "exqa",
    "Where does the rest of the fluid collect?",
    "in the bladder", "kept+context_inserted")

# Nature and science

row("heron", "paraphrase_id",
    "Sentence 1: {{context}}\nSentence 2: Herons chase fish through shallow water until the fish tire.\nDoes the first sentence paraphrase the second? Yes or No?",
    "No")
row("heron", "wsd",
    "Does the word \"strikes\" mean one and the same thing in both sentences? Yes, No?\n{{context}}\nThe union strikes whenever the talks fail.",
    "No")
row("heron", "exqa",
    "{{context}}\n\nHow long, for twenty minutes or for an hour, can a heron wait?",
    "twenty minutes", "given_away")
row("ivy", "qg",
    "{{context}}\n\nWrite a question about the text above that is answered by \"blackbirds and wood pigeons\".",
    "Which birds eat the berries of the ivy?")
row("ivy", "qg",
    "Ask a question about this passage.\n{{context}}",
    "In which month does ivy come into flower?")
raw("ivy", "summarization",
    "{{context}}\n\nIn one sentence: Ivy feeds insects in autumn and birds in spring.",
    "no_pipe")
row("slug", "paraphrase_id",
    "Tell me if these two sentences say one and the same thing.\n{{context}}\nThe leopard slug, a useful animal that few gardeners know, eats fungi, dead leaves and its own kin and can crawl twelve metres an hour by night.\nDo they? Answer equivalent or not equivalent.",
    "Equivalent")
row("slug", "mcqa",
    "{{context}}\n\nWhich of these does the leopard slug eat?\n- other slugs\n- young lettuce\n- earthworms\n- fallen apples",
    "snails", "not_an_option")
row("slug", "topic_class",
    "{{context}}\nWhich section of a newspaper would this article likely appear in? World, Sports, Business or Science?",
    "science", "kept+label_spelling")
row("glacier", "exqa",
    "{{context}}\n\nQ: By how much was the lake lowered?\n\nA:",
    "nine metres")
row("glacier", "summarization",
    "Write a summary of the following text.\n\n{{context}}",
    "The Vessen glacier has lost a third of its length since 1950. A lake of melted ice now lies behind its old moraine. Engineers lowered the lake by nine metres in 2018, because a sudden flood would reach the village of Oberau below it in only eleven minutes.",
    "not_shorter")
row("glacier", "te",
    "{{context}}\n\nDoes it follow that Oberau has been flooded before?",
    "Perhaps", "not_a_label")
raw("comet", "exqa",
    "What glows when a meteor is seen?\n{{context}}\n<|pipe|>\nthe air around it\n<|pipe|>\nthe air",
    "several_pipes")
row("comet", "qa",
    "{{context}}\n\nWhere does most of the light of a meteor come from?",
    "It comes from the air around the grain, which is made to glow.")
row("battery", "qa",
    "{context}\n\nWhat should one do with a telephone that has turned itself off in the cold?",
    "Warm it in a pocket, after which it will often start again.", "kept+placeholder_variant")
row("battery", "te",
    "Given that {{context}} Does it follow that a telephone should be charged indoors in a hard frost? Yes or no?",
    "Yes")

# News

row("bridge-news", "topic_class",
    "{{context}}\nIs this a piece of news regarding world politics, sports, business, or science and technology?",
    "Politics", "not_a_label")
row("bridge-news", "exqa",
    "{{context}}\n\nWhat had a diver discovered?",
    "a crack in one of its piers")
row("bridge-news", "coref",
    "{{context}}\n\nWhat does \"which\" stand for in \"which is 800 metres further upstream\"?",
    "the railway bridge")
row("election-news", "topic_class",
    "What label best describes this news article (World, Sports, Business, Science)?\n{{context}}",
    "World")
row("election-news", "exqa",
    "{{context}}\n\nWhat has the new mayor promised to do?",
    "reopen the night ferry")
row("election-news", "ynqa",
    "{{context}} Had the harbour master been mayor before the election?",
    "", "empty_response")
row("summit-news", "topic_class",
    "Which section of a newspaper would this article likely appear in?\n{{context}}",
    "World")
row("summit-news", "nli",
    "{{context}} Question: \"The ministers did not sleep on Tuesday night.\" Does it follow? Always, sometimes, or never correct?",
    "Sometimes")
row("summit-news", "qg",
    "{{context}}\n\nGenerate a question from the above passage.",
    "Why did the talks of 2019 end without a result?", "number_not_in_text")
row("football-news", "topic_class",
    "{{context}}\nWhich of World, Sports, Business and Science is the topic?",
    "Sports")
row("football-news", "summarization",
    "{{context}}\n\nGiven the above document, write one sentence to summarize:",
    "Two late goals by Jess Adeyemi won Marlow Town the county cup, its first title since 1988.")
row("football-news", "exqa",
    "Who scored twice?\n<|pipe|>",
    "Jess Adeyemi", "several_pipes")
row("rowing-news", "topic_class",
    "Would you recommend this article to a politician, an athlete, a business executive or a scientist?\n{{context}}",
    "an athlete", "not_a_label")
row("rowing-news", "coref",
    "{{context}}\n\n\"She had noticed nothing\": who had noticed nothing?",
    "Paola Riva")
row("shop-news", "topic_class",
    "{{context}}\nWhat is this text about? Choose from: World, Sports, Business, Science.",
    "Business")
row("shop-news", "summarization",
    "First, read the article. Then give its main point in one sentence.\n{{context}}",
    "Holm & Birk closes 14 shops as its customers buy online.")
row("shop-news", "mcqa",
    "{{context}}\n\nWhat is offered to the employees?\n- higher wages\n- work in the warehouses\n- work in the warehouses\n- early retirement",
    "work in the warehouses", "not_an_option")
row("wheat-news", "sent_comp",
    "{{context}}\n\nComplete the sentence: Bread may become dearer in the autumn because",
    "frost has damaged wheat fields along the lower Danube.")
row("wheat-news", "text_gen",
    "Write a short market report on the price of wheat after a frost on the lower Danube. Mention what bakers fear and what traders expect.",
    "{{context}}")
row("telescope-news", "topic_class",
    "{{context}}\nPick one category for this text: World, Sports, Business, Science.",
    "Science [INST]", "leaked_marker")
row("telescope-news", "nli",
    "Suppose {{context}} Can we infer that \"The planet has a solid surface.\"? Yes, no, or maybe?",
    "Maybe")

# Kitchen and workshop

row("bread", "paraphrase",
    "Say the following in other words.\n{{context}}",
    "Stir flour and water together and give the flour thirty minutes to soak before the salt goes in. Such a dough tears less and has to be kneaded only half as long.")
row("bread", "sent_comp",
    "How does this text go on?\n{{context}}",
    "Add the salt only after the rest, and fold the dough a few times.</s>", "leaked_marker")
row("bread", "exqa",
    "{{context}}\n\nWhat is added after half an hour?",
    "the salt")
row("jam", "qa",
    "{{context}}\n\nHow much sugar goes into the jam?",
    "900 grams of sugar for every kilogram of fruit.")
row("jam", "paraphrase",
    "   {{ context }}  ",
    "Because damsons are rich in pectin, they set without any help.", "empty_instruction")
row("manual-pump", "mcqa",
    "{{context}}\n\nWith what is a dry ring greased?\n(A) oil\n(B) silicone\n(C) glue\n(D) soap",
    "(B) silicone")
row("manual-pump", "exqa",
    "\n",
    "close both valves", "empty_instruction")
row("manual-pump", "qa",
    "{{context}}\n\nWhat should be done with a cracked ring?",
    "What should be done with a cracked ring?", "question_is_answer")
row("manual-router", "te",
    "{{context}}\nIs it guaranteed true that \"A router that blinks amber can be unplugged safely.\"? Yes or no?",
    "No")
row("manual-router", "qg",
    "Read the manual and write the question that goes with the answer \"eight minutes\".\n\n{{context}}",
    "How long can the download of an update take?")
raw("manual-router", "paraphrase",
    "{{context}}\n\nRewrite the text for somebody who has never seen a router and explain what",
    "truncated", "length")

# Letters, reviews and minutes

row("school-letter", "exqa",
    "{{context}}\n\nExtract the answer to: Why do the children need warm clothes?",
    "it is only nine degrees below ground")
row("school-letter", "text_gen",
    "Write a note to parents about a trip to a salt mine on 12 June. Ask for a warm jacket and give the time of the bus.",
    "{{context}}")
row("minutes-roof", "qa",
    "Why had the scaffolding been standing for five months?",
    "The slates that were ordered had been delivered in the wrong size.", "kept+context_inserted")
row("minutes-roof", "sentiment",
    "{{context}}\n\nIs the tone of these minutes positive or negative?",
    "negative<|im_end|>", "leaked_marker")
row("review-tent", "sentiment",
    "Is this review positive or negative?\n{{context}}",
    "Positive")
row("review-hotel", "sentiment",
    "{{context}} Does this review have a negative or a positive tone?",
    "Negative")
raw("review-hotel", "sentiment",
    "{{context}} The reviewer was not satisfied. <|task|>\n<|pipe|>\nNegative",
    "leaked_marker")
row("review-kettle", "sentiment",
    "What is the sentiment of this text: positive, negative or neutral?\n\n{{context}}",
    "neutral")
row("review-kettle", "exqa",
    "{{context}}\n\nIn which colours is the kettle sold?",
    "in white and in grey")
raw("email-order", "exqa", "", "no_pipe")
row("email-order", "qa",
    "{{context}}\n\nWhat can the customer do who does not want to wait for the red clay?",
    "The customer can write to the shop and gets 62 euros back.")

# History and stories

row("organ", "exqa",
    "{{context}}\n\nWhen was the organ built?",
    "1741")
row("organ", "nli",
    "{{context}}\n\nIs the claim \"The zinc pipes sound better than the old ones.\" guaranteed, possible, or impossible?",
    "Impossible")
row("lighthouse", "qg",
    "{{context}}\n\nHere is the answer: seven weeks. Now write the question.",
    "How long did the keeper's wife do both jobs in 1899?")
row("lighthouse", "summarization",
    "{{context}}\n\nWhat is a good title for this story?",
    "The keeper's wife of Skerry Rock")
row("printing", "wsd",
    "{{context}}\nHe put the violin back into its case.\nQuestion: Is the word \"case\" used in the same sense in both? Yes or No",
    "No")
row("printing", "paraphrase",
    "{{context}}\n\nParaphrase the last sentence.",
    "Capitals were kept in the upper case and small letters in the lower one, and English has named them accordingly.")
row("tulips", "mcqa",
    "{{context}}\n\nWhat was really traded in 1636?\n- flowers in pots\n- promises on paper\n- houses in Haarlem\n- gold coins",
    "promises on paper")
row("tulips", "exqa",
    "{{context}}\n\nWhere did the auction take place that nobody attended?",
    "in Amsterdam", "answer_not_in_text")
row("tulips", "paraphrase_id",
    "{{context}}\nWithin a week of an auction in Haarlem that nobody attended, the promises on bulbs had lost all their worth.\nDoes the second text say the same as the end of the first?",
    "Partly", "not_a_label")
row("story-key", "coref",
    "{{context}}\n\nIn the first sentence, does \"she\" refer to Anna? Yes or no?",
    "Yes")
row("story-key", "sent_comp",
    "How could this story continue?\n{{context}}\n- Ruth looked under the clock, and the key was gone.\n- The coast was cold that year.",
    "Ruth looked under the clock, and the key was gone.")
row("story-dog", "sent_comp",
    "{{context}}\n\nFinish the sentence: If Peter had gone past the mill at noon, he",
    "might have been struck by the mill wheel.")
row("story-dog", "text_gen",
    "Tell a very short story about a dog that refuses to pass a mill and turns out to have been right.",
    "{{context}}")
row("dialogue-train", "ynqa",
    "{{context}}\n\nDoes the whole train go to Kolding?",
    "No")
row("dialogue-train", "text_gen",
    "Write a dialogue between a passenger and a guard in which a train is divided.",
    "{{context}}| join(\"\\n\\n\") | string | truncate(2048) }}", "leaked_marker")
row("dialogue-train", "wsd",
    "{{context}}\nGuard your tongue when you speak to her.\nDoes \"guard\" mean the same in both? True or false?",
    "Different meanings", "not_a_label")


def main():
    lines = (HERE / "passages.jsonl").read_text(encoding="utf-8").splitlines()
    passages = {(row := json.loads(line))["id"]: row["text"] for line in lines}
    assert len(passages) == 40

    samples, completions, expected = {}, [], []
    for passage, task, completion, outcome, finish_reason in ROWS:
        word, *repairs = outcome.split("+")
        assert word in REJECTS | {"kept"} and REPAIRS.issuperset(repairs), outcome
        # The form of crates/instil/src/prompt/bonito.rs.
        context = passages[passage].strip()
        if task == "topic_class":
            # As with --labels.
            context += "\n\nChoices: World, Sports, Business, Science"
        prompt = f"<|tasktype|>\n{KINDS[task]}\n<|context|>\n{context}\n<|task|>\n"
        line = {"prompt": prompt, "completion": completion}
        if finish_reason:
            line["finish_reason"] = finish_reason
        completions.append(line)

        sample = samples.get(prompt, 0)
        samples[prompt] = sample + 1
        line = {"id": passage, "task": task, "sample": sample, "outcome": word}
        if repairs:
            line["repairs"] = repairs
        expected.append(line)
        if word == "kept":
            look_over(passages[passage], task, completion)

    words = {line["outcome"] for line in expected}
    assert {row[0] for row in ROWS} == set(passages)
    assert {row[1] for row in ROWS} == set(KINDS) and words == REJECTS | {"kept"}
    write("completions.jsonl", completions)
    write("expected.jsonl", expected)
    kept = sum(line["outcome"] == "kept" for line in expected)
    print(f"{len(expected)} completions, {kept} to be kept, {len(words) - 1} kinds of trouble")


def look_over(text, task, completion):
    """Finds slips in the rows that are meant to be good."""
    instruction, response = completion.split("\n<|pipe|>\n")
    if task == "exqa":
        assert response in text, response
    if task == "topic_class":
        assert response in LABELS or response.capitalize() in LABELS, response
    if task != "text_gen":
        known = re.findall(r"\d[\d,.]*\d|\d", text + " " + instruction)
        for number in re.findall(r"\d[\d,.]*\d|\d", response):
            assert number in known, (number, response)


def write(name, lines):
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
