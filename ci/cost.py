#!/usr/bin/env python3
"""Holds what the library says of usage and cost against a second reading of the same answers.

Written from the providers' documents, one function a provider, with decimal arithmetic: nothing of
it is taken from the library. Arguments: how to run the library's `cost` example.

Input: the cases below and the sample of testdata, both with the sample's prices, and the recorded
answers with the recorded prices, if both are present. The sample also states the figures that it
expects.
"""

import json
import os
import subprocess
import sys
import tempfile
from decimal import Decimal, getcontext
from pathlib import Path

# The helper of testdata, without a folder of compiled code beside it.
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "testdata"))
import recordings

getcontext().prec = 80


def own_answers():
    """Calls at a step of a price, one before and one past it, in every tier, with everything that
    can be counted twice."""
    chat = lambda n, m, **more: {"host": "api.openai.com", "model": "own-chat", "usage": {
        "prompt_tokens": n, "completion_tokens": m, "total_tokens": n + m,
        "prompt_tokens_details": {"cached_tokens": n // 3, "audio_tokens": n // 5},
        "completion_tokens_details": {"reasoning_tokens": m // 2, "audio_tokens": m // 7}, **more}}
    for n in (0, 1, 199_999, 200_000, 200_001):
        for tier in ("default", "flex", "priority", "batch"):
            yield chat(n, 100, service_tier=tier)
    for hour, short in ((0, 0), (7, 0), (0, 7), (1000, 956)):
        yield {"host": "api.anthropic.com", "model": "own-claude", "usage": {
            "input_tokens": 3, "output_tokens": 44, "cache_read_input_tokens": 9511,
            "cache_creation_input_tokens": hour + short,
            "cache_creation": {"ephemeral_1h_input_tokens": hour, "ephemeral_5m_input_tokens": short}}}
        yield {"host": "bedrock-runtime.us-east-1.amazonaws.com", "model": "own-claude", "usage": {
            "inputTokens": 3, "outputTokens": 44, "cacheReadInputTokens": 11,
            "cacheWriteInputTokens": hour + short, "cacheDetails": [
                {"ttl": "1h", "inputTokens": hour}, {"ttl": "5m", "inputTokens": short}]}}
    yield {"host": "generativelanguage.googleapis.com", "model": "own-gemini", "usage": {
        "promptTokenCount": 1000, "candidatesTokenCount": 50, "thoughtsTokenCount": 30,
        "toolUsePromptTokenCount": 20, "cachedContentTokenCount": 400, "totalTokenCount": 1100,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 600}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 100}]}}
    for n in (127_999, 128_000, 128_001):
        yield {"host": "api.openai.com", "model": "own-steps",
               "usage": {"prompt_tokens": n, "completion_tokens": 3}}


# Usage: input, output, read, write, write_1h, reasoning, audio_in, audio_read, audio_out, tier.


def part(**found):
    names = "input output read write write_1h reasoning audio_in audio_read audio_out".split()
    return {**dict.fromkeys(names, 0), "tier": "standard", **found}


def google(u):
    """Gemini API, GenerateContentResponse.UsageMetadata; thoughts and tool prompts are apart."""
    if "promptTokenCount" not in u and "totalTokenCount" not in u:
        return None

    def audio(name):
        return sum(d.get("tokenCount", 0) for d in u.get(name, []) if d["modality"] == "AUDIO")

    tier = (u.get("serviceTier") or u.get("trafficType") or "standard").lower()
    return part(
        input=u.get("promptTokenCount", 0) + u.get("toolUsePromptTokenCount", 0),
        output=u.get("candidatesTokenCount", 0) + u.get("thoughtsTokenCount", 0),
        read=u.get("cachedContentTokenCount", 0),
        reasoning=u.get("thoughtsTokenCount", 0),
        audio_in=audio("promptTokensDetails") + audio("toolUsePromptTokensDetails"),
        audio_read=audio("cacheTokensDetails"),
        audio_out=audio("candidatesTokensDetails"),
        tier="flex" if tier.endswith("flex") else "priority" if tier.endswith("priority") else "standard",
    )


def claude(u):
    """Messages API: the total input is input_tokens + cache_creation + cache_read. A compaction is
    billed and stands in `iterations` alone."""
    kinds = [u] + [i for i in u.get("iterations", []) if i.get("type") == "compaction"]
    total = part()
    for k in kinds:
        made = k.get("cache_creation_input_tokens", 0)
        hour = (k.get("cache_creation") or {}).get("ephemeral_1h_input_tokens", 0)
        read = k.get("cache_read_input_tokens", 0)
        total["input"] += k["input_tokens"] + made + read
        total["output"] += k["output_tokens"]
        total["read"] += read
        total["write_1h"] += hour
        total["write"] += made - hour
        total["reasoning"] += k.get("output_tokens_details", {}).get("thinking_tokens", 0)
    if u.get("service_tier") in ("priority", "batch"):
        total["tier"] = u["service_tier"]
    return total


def converse(u):
    """Bedrock TokenUsage: inputTokens is what was neither read from nor written to the cache."""
    read, made = u.get("cacheReadInputTokens", 0), u.get("cacheWriteInputTokens", 0)
    hour = sum(d["inputTokens"] for d in u.get("cacheDetails", []) if d["ttl"] == "1h")
    return part(input=u["inputTokens"] + read + made, output=u["outputTokens"], read=read,
                write=made - hour, write_1h=hour)


def cohere(u):
    """Billed units are what is paid; cached tokens have no price of their own."""
    b = u["billed_units"]
    return part(input=b["input_tokens"], output=b["output_tokens"],
                read=min(u.get("cached_tokens", 0), b["input_tokens"]))


def responses(u):
    """OpenAI Responses: all details lie inside the totals."""
    i, o = u.get("input_tokens_details") or {}, u.get("output_tokens_details") or {}
    return part(input=u["input_tokens"], output=u["output_tokens"], read=i.get("cached_tokens", 0),
                write=i.get("cache_write_tokens", 0), reasoning=o.get("reasoning_tokens", 0))


def chat(u):
    """OpenAI chat completions and those that answer so; what the sum has more was thought."""
    i, o = u.get("prompt_tokens_details") or {}, u.get("completion_tokens_details") or {}
    read = i.get("cached_tokens") or u.get("num_cached_tokens") or u.get("cached_tokens") or 0
    asked, said = u.get("prompt_tokens", 0), u.get("completion_tokens", 0)
    hidden = max(u.get("total_tokens", 0) - asked - said, 0)
    # If a router counts the same tokens as written and as read, the sum may not exceed all.
    made = min(i.get("cache_write_tokens", 0), asked - read)
    audio = i.get("audio_tokens", 0)
    tier = u.get("service_tier")
    return part(
        input=asked, output=said + hidden, read=read, write=made,
        reasoning=o.get("reasoning_tokens", 0) or hidden, audio_in=audio,
        audio_read=max(0, audio + read - asked), audio_out=o.get("audio_tokens", 0),
        tier=tier if tier in ("flex", "priority", "batch") else "standard",
    )


def voyage(u):
    return part(input=u["total_tokens"])


def read(answer):
    host, u = answer["host"], answer["usage"]
    if host.endswith(("generativelanguage.googleapis.com", "aiplatform.googleapis.com")):
        return chat(u) if "prompt_tokens" in u else google(u)
    if "voyageai" in host:
        return voyage(u)
    if "cohere" in host:
        return cohere(u)
    if host.startswith("bedrock-runtime"):
        return converse(u) if "inputTokens" in u else claude(u)
    if host == "api.anthropic.com" or "cache_read_input_tokens" in u:
        return claude(u)
    return responses(u) if "input_tokens" in u else chat(u)


TIERS = {"batch": "_batches", "flex": "_flex", "priority": "_priority", "standard": ""}


def cost(prices, u):
    """Prices as LiteLLM defines the fields. None where a needed one is missing."""
    flat = {k: v for k, v in prices.items() if "cost" in k and v is not None}
    for step in sorted(prices.get("tiered_pricing") or [], key=lambda s: s["range"][0]):
        low = step["range"][0]
        if low == 0 or u["input"] > low:
            flat.update({k: v for k, v in step.items() if "cost" in k})
    edges = []
    for key in flat:
        if "_tokens" in key and "_above_" in key:
            number = key.split("_tokens")[0].split("_above_")[-1]
            edge = int(number[:-1]) * 1000 if number.endswith("k") else int(number)
            passed = u["input"] >= edge if prices.get("litellm_provider") == "xai" else u["input"] > edge
            if passed:
                edges.append((edge, f"_above_{number}_tokens"))
    steps = [name for _, name in sorted(set(edges), reverse=True)] + [""]

    def price(field, *instead):
        for step in steps:
            for tier in (TIERS[u["tier"]], ""):
                found = flat.get(field + step + tier)
                if found is not None:
                    return Decimal(found)
        return price(*instead) if instead else None

    text = "input_cost_per_token"
    said = "output_cost_per_token"
    cached = "cache_read_input_token_cost"
    made = "cache_creation_input_token_cost"
    heard = u["audio_in"] - u["audio_read"]
    bill = [
        (u["input"] - u["read"] - u["write"] - u["write_1h"] - heard, (text,)),
        (u["read"] - u["audio_read"], (cached, text)),
        (u["audio_read"], ("cache_read_input_audio_token_cost", cached, text)),
        (u["write"], (made, text)),
        (u["write_1h"], (made + "_above_1hr", made, text)),
        (heard, ("input_cost_per_audio_token", text)),
        (u["output"] - u["reasoning"] - u["audio_out"], (said,)),
        (u["reasoning"], ("output_cost_per_reasoning_token", said)),
        (u["audio_out"], ("output_cost_per_audio_token", said)),
    ]
    total = Decimal(0)
    for tokens, fields in bill:
        assert tokens >= 0, (u, bill)
        if tokens:
            found = price(*fields)
            if found is None:
                return None
            total += tokens * found
    return total


def ask(command, prices, answers):
    """What the library says of these answers, with these prices."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(prices)
        file.flush()
        said = subprocess.run(
            command, input="".join(json.dumps(a) + "\n" for a in answers), text=True, check=True,
            stdout=subprocess.PIPE, env={**os.environ, "AUDIT_PRICING_FILE": file.name})
    return [json.loads(line) for line in said.stdout.splitlines()]


def unlike_stated(answer, u):
    """The usage that an answer of the sample states, as this script has it, if it is another."""
    if "expect" not in answer:
        return None
    stated = answer["expect"]
    names = {"cache_read": "read", "cache_write": "write", "cache_write_1h": "write_1h",
             "audio_input": "audio_in", "audio_cache_read": "audio_read", "audio_output": "audio_out",
             "service_tier": "tier"}
    expected = stated and part(**{names.get(name, name): n for name, n in stated.items()})
    return None if expected == u else expected or "none"


def check(command, name, text, answers):
    prices = json.loads(text, parse_float=Decimal)
    usages = costs = 0
    wrong = []
    for answer, said in zip(answers, ask(command, text, answers), strict=True):
        u = read(answer)
        seen = said["usage"] and {
            "input": said["tokens_input"], "output": said["tokens_output"],
            **{ours: said["usage"].get(theirs, 0) for ours, theirs in (
                ("read", "cache_read"), ("write", "cache_write"), ("write_1h", "cache_write_1h"),
                ("reasoning", "reasoning"), ("audio_in", "audio_input"),
                ("audio_read", "audio_cache_read"), ("audio_out", "audio_output"))},
            "tier": said["usage"].get("service_tier", "standard")}
        if said["usage"] == {}:
            seen = part(input=said["tokens_input"], output=said["tokens_output"])
        usages += 1
        if (expected := unlike_stated(answer, u)) is not None:
            wrong.append(f"usage of {json.dumps(answer)}: {u}, stated {expected}")
        if u != seen:
            wrong.append(f"usage of {json.dumps(answer)}: {seen}, expected {u}")
            continue
        # Names without a price of their own are resolved; the library's tests check that.
        if u is not None and answer["model"] in prices:
            costs += 1
            expected = cost(prices[answer["model"]], u)
            found = said["cost_usd"] and Decimal(said["cost_usd"])
            if found != expected:
                wrong.append(f"cost of {json.dumps(answer)}: {found}, expected {expected}")
            if "cost_usd" in answer and found != Decimal(answer["cost_usd"]):
                wrong.append(f"cost of {json.dumps(answer)}: {found}, stated {answer['cost_usd']}")
    for line in wrong[:20]:
        print(f"cost: {line}", file=sys.stderr)
    print(f"cost: {name}: {usages} usages and {costs} costs compared, {len(wrong)} differ")
    return not wrong and costs > 0


def objects(path):
    return [json.loads(line) for line in recordings.lines(path)]


def main():
    command = sys.argv[1:]
    prices = recordings.sample("prices.json").read_text(encoding="utf-8")
    ok = check(command, "own cases", prices, list(own_answers()))
    ok &= check(command, "sample", prices, objects(recordings.sample("provider-usage.jsonl")))
    recorded = recordings.recording("provider-usage.jsonl")
    prices = recordings.recording("prices-litellm.json")
    if recorded and prices:
        ok &= check(command, "recorded answers", prices.read_text(encoding="utf-8"), objects(recorded))
    else:
        print("cost: a recording is missing; no recorded answers compared")
    sys.exit(0 if ok else 1)


main()
