use super::*;

fn usd(text: &str) -> Option<Usd> {
    text.parse().ok()
}

/// Returns a table of these names, each with its own price.
fn table(names: &[&str]) -> PriceTable {
    let models = names.iter().zip(1_u32..).map(|(name, n)| {
        let mut rates = Rates::default();
        let price = n.to_string().parse().unwrap();
        rates.set(Rate { kind: TokenKind::Input, above: 0, tier: ServiceTier::Standard, price });
        ((*name).to_owned(), rates)
    });
    PriceTable::new(models.collect())
}

const NAMES: [&str; 22] = [
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4o-2024-05-13",
    "ft:gpt-4o-2024-08-06",
    "claude-sonnet-4-5",
    "claude-3-7-sonnet-20250219",
    "claude-opus-4-5-20251101",
    "anthropic.claude-opus-4-6-v1",
    "us.anthropic.claude-opus-4-6-v1",
    "gemini-2.5-pro",
    "gemini/gemini-2.5-pro",
    "gemini-2.5-flash",
    "mistral/mistral-large-latest",
    "mistral/mistral-small",
    "xai/grok-4",
    "deepseek/deepseek-r1",
    "groq/openai/gpt-oss-120b",
    "azure/gpt-4o-mini",
    "Meta-Llama/Llama-4-Scout",
    "amazon.nova-pro-v1:0",
    "voyage/voyage-3.5",
    "o1",
];

#[test]
fn names_resolve_to_their_model() {
    let cases = [
        ("gpt-4o", "gpt-4o"),
        ("GPT-4o", "gpt-4o"),
        (" gpt-4o ", "gpt-4o"),
        ("openai/gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("openai/gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("azure/gpt-4o", "gpt-4o"),
        ("azure/gpt-4o-mini", "azure/gpt-4o-mini"),
        ("azure/gpt-4o-mini-2024-07-18", "azure/gpt-4o-mini"),
        ("openrouter/openai/gpt-4o", "gpt-4o"),
        ("ft:gpt-4o-2024-08-06:acme::7p4lURel", "ft:gpt-4o-2024-08-06"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("vertex_ai/claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("vertex_ai/claude-sonnet-4-5@default", "claude-sonnet-4-5"),
        ("anthropic/claude-4.5-sonnet-20250929", "claude-sonnet-4-5"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("openrouter/anthropic/claude-sonnet-4.5:thinking", "claude-sonnet-4-5"),
        ("claude-3.7-sonnet-20250219", "claude-3-7-sonnet-20250219"),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("bedrock/us.anthropic.claude-opus-4-6-v1", "us.anthropic.claude-opus-4-6-v1"),
        ("eu.anthropic.claude-opus-4-6-v1", "anthropic.claude-opus-4-6-v1"),
        ("bedrock/eu-west-1/anthropic.claude-opus-4-6-v1", "anthropic.claude-opus-4-6-v1"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-6-v1",
            "us.anthropic.claude-opus-4-6-v1",
        ),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
            "amazon.nova-pro-v1:0",
        ),
        ("us.amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
        ("gemini-2.5-pro", "gemini-2.5-pro"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("google/gemini-2.5-pro", "gemini/gemini-2.5-pro"),
        ("vertex_ai/gemini-2.5-pro", "gemini-2.5-pro"),
        ("publishers/google/models/gemini-2.5-flash", "gemini-2.5-flash"),
        (
            "projects/p/locations/global/publishers/google/models/gemini-2.5-flash",
            "gemini-2.5-flash",
        ),
        ("gemini-2.5-flash-001", "gemini-2.5-flash"),
        ("gemini-2.5-flash-latest", "gemini-2.5-flash"),
        ("mistral-large-latest", "mistral/mistral-large-latest"),
        ("mistralai/mistral-small", "mistral/mistral-small"),
        ("x-ai/grok-4", "xai/grok-4"),
        ("grok-4-latest", "xai/grok-4"),
        ("deepseek-r1", "deepseek/deepseek-r1"),
        ("openrouter/deepseek/deepseek-r1", "deepseek/deepseek-r1"),
        ("meta-llama/llama-4-scout", "Meta-Llama/Llama-4-Scout"),
        ("voyage-3.5", "voyage/voyage-3.5"),
        ("o1-2024-12-17", "o1"),
        ("o1-high", "o1"),
        ("claude-sonnet-4-5-20250929-thinking", "claude-sonnet-4-5"),
        ("claude-opus-4-5-20251101[1m]", "claude-opus-4-5-20251101"),
        ("claude-sonnet-4-5-thinking[1m]", "claude-sonnet-4-5"),
        ("us.anthropic.claude-opus-4-6-v1[1m]", "us.anthropic.claude-opus-4-6-v1"),
        ("openrouter/openai/gpt-4o:nitro", "gpt-4o"),
        ("anthropic/claude-4.5-sonnet:thinking:floor", "claude-sonnet-4-5"),
        ("openai/ft:gpt-4o-2024-08-06:acme::x", "ft:gpt-4o-2024-08-06"),
    ];
    let table = table(&NAMES);
    for (name, expected) in cases {
        let n = NAMES.iter().position(|known| *known == expected).unwrap() + 1;
        assert_eq!(table.cost("", name, Usage::new(1, 0)), usd(&n.to_string()), "{name}");
    }
}

#[test]
fn a_name_never_resolves_to_another_model() {
    let unknown = [
        "",
        "/",
        "gpt",
        "gpt-4",
        "gpt-4o-",
        "gpt-4o-nano",
        "gpt-4o-mini-tts",
        "gpt-4o-audio-preview",
        "gpt-4o-audio-preview-2024-12-17",
        "gpt-4o-2024",
        "gpt-4o-2024-13-06",
        "gpt-4o-1106",
        "gpt-4o:free",
        "gpt-4o:free:nitro",
        "gpt-4o:extended",
        "gpt-4o-thinking",
        "gpt-4o-high",
        "mistral-small-thinking",
        "deepseek-r1[2m]",
        "o1-mini",
        "o1-mini-2024-09-12",
        "o1-preview",
        "ft:gpt-4o",
        "ft:gpt-4o-2024-11-20:acme::x",
        "claude",
        "claude-sonnet",
        "claude-sonnet-4",
        "claude-sonnet-4-20250514",
        "claude-sonnet-4-6",
        "claude-3-7-sonnet",
        "claude-3-7-sonnet-20250220",
        "claude-opus-4-5-20251102",
        "claude-haiku-4-5",
        "gemini-2.5-pro-preview-05-06",
        "gemini-2.5-flash-lite",
        "gemini-2.5-flash:free",
        "mistral/mistral-large",
        "mistral-large-2411",
        "mistral-small-latest-x",
        "grok-4-fast",
        "groq/deepseek-r1",
        "groq/gpt-4o",
        "together_ai/deepseek-r1",
        "azure_ai/deepseek-r1",
        "bedrock/deepseek-r1",
        "deepseek-ai/deepseek-r1",
        "gpt-oss-120b",
        "openai/gpt-oss-120b",
        "cerebras/gpt-oss-120b",
        "llama-4-scout",
        "amazon.nova-pro",
        "my-gpt-4o",
        "acme/gpt-4o",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6",
        "é-2024-08-06",
        "gpt-4o-2024-08-é6",
        "----",
    ];
    let table = table(&NAMES);
    for name in unknown {
        assert_eq!(table.cost("", name, Usage::new(1, 0)), None, "{name}");
    }
}

#[test]
fn a_provider_says_where_a_model_ran() {
    let cases = [
        ("openai", "gpt-4o", Some("gpt-4o")),
        ("OpenAI", "gpt-4o-2024-08-06", Some("gpt-4o")),
        ("azure.ai.openai", "gpt-4o-mini", Some("azure/gpt-4o-mini")),
        ("aws.bedrock", "us.anthropic.claude-opus-4-6-v1", Some("us.anthropic.claude-opus-4-6-v1")),
        ("gcp.vertex_ai", "gemini-2.5-pro", Some("gemini-2.5-pro")),
        ("gcp.gemini", "gemini-2.5-pro", Some("gemini/gemini-2.5-pro")),
        ("mistral_ai", "mistral-large-latest", Some("mistral/mistral-large-latest")),
        ("x_ai", "grok-4", Some("xai/grok-4")),
        ("groq", "openai/gpt-oss-120b", Some("groq/openai/gpt-oss-120b")),
        ("groq", "deepseek-r1", None),
        ("our-gateway", "gpt-4o", Some("gpt-4o")),
        ("our-gateway", "openai/gpt-4o", Some("gpt-4o")),
        ("our-gateway", "gpt-oss-120b", None),
        ("openai.responses", "gpt-4o", Some("gpt-4o")),
        ("google.vertex.chat", "gemini-2.5-pro", Some("gemini-2.5-pro")),
        ("google_genai", "gemini-2.5-pro", Some("gemini/gemini-2.5-pro")),
        ("amazon-bedrock", "amazon.nova-pro-v1:0", Some("amazon.nova-pro-v1:0")),
        ("xai.chat", "grok-4", Some("xai/grok-4")),
        ("openai", "ft:gpt-4o-2024-08-06:acme::x", Some("ft:gpt-4o-2024-08-06")),
        ("ollama", "gpt-4o", None),
        ("vllm", "mistral-small", None),
    ];
    let table = table(&NAMES);
    for (provider, model, expected) in cases {
        let n = expected.map(|name| NAMES.iter().position(|known| *known == name).unwrap() + 1);
        let expected = n.and_then(|n| usd(&n.to_string()));
        assert_eq!(table.cost(provider, model, Usage::new(1, 0)), expected, "{provider} {model}");
    }
}

#[test]
fn every_built_in_line_is_whole() {
    let mut names = BTreeSet::new();
    for text in BUILT_IN.lines().filter(|line| !line.starts_with('#')) {
        let (name, prices) = text.split_once(' ').unwrap_or_else(|| panic!("{text}"));
        assert!(names.insert(name), "{name} is there twice");
        for text in prices.split(' ') {
            assert!(parse_built_in_price(text).is_some(), "{name}: {text}");
        }
        let (_, rates) = parse_built_in_model(text).unwrap();
        let one = rates.cost(Usage::new(1, 0)).unwrap_or_else(|| panic!("{name}: no input price"));
        let limit = usd("0.01").unwrap();
        assert!(one < limit && !one.is_negative(), "{name}: {one} for a token");
    }
    assert!(names.len() > 300, "{}", names.len());
}

#[test]
fn common_models_are_built_in() {
    let million = Usage::new(1_000_000, 0);
    let cases = [
        ("gpt-4o", "2.5"),
        ("gpt-4o-2024-05-13", "5"),
        ("azure/gpt-4o-2024-08-06", "2.5"),
        ("gpt-5-mini-2025-08-07", "0.25"),
        ("claude-sonnet-4-5-20250929", "3"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "6.6"),
        ("gemini-2.5-flash", "0.3"),
        ("gemini-2.5-pro", "2.5"),
        ("mistral-large-latest", "0.5"),
        ("command-r7b-12-2024", "0.0375"),
        ("deepseek-chat", "0.28"),
        ("text-embedding-3-small", "0.02"),
        ("azure/eu/gpt-4o", "2.75"),
        ("groq/openai/gpt-oss-120b", "0.15"),
        ("together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", "1.04"),
        ("dashscope/qwen-plus", "0.4"),
    ];
    for (model, expected) in cases {
        assert_eq!(PriceTable::built_in().cost("", model, million), usd(expected), "{model}");
    }
}

#[test]
fn a_file_goes_over_the_built_in_prices() {
    let text = r#"{
        "sample_spec": {"input_cost_per_token": "free text"},
        "gpt-4o": {"input_cost_per_token": 1e-3, "output_cost_per_token": "2e-3", "mode": "chat",
            "search_context_cost_per_query": {"search_context_size_low": 0.01}},
        "our-deployment": {"base_model": "azure/gpt-4o-2024-08-06"},
        "our-other": {"base_model": "claude-sonnet-4-5", "output_cost_per_token": 1},
        "pictures": {"output_cost_per_image": 0.04},
        "steps": {"tiered_pricing": [
            {"range": [0, 256000.0], "input_cost_per_token": 1, "output_cost_per_token": 2},
            {"range": [256000.0, 1000000.0], "input_cost_per_token": 3},
            {"max_results_range": [0, 25], "input_cost_per_query": 1}]},
        "xai/grok": {"litellm_provider": "xai", "input_cost_per_token": 1,
            "input_cost_per_token_above_200k_tokens": 2},
        "hit": {"input_cost_per_token": 1, "input_cost_per_token_cache_hit": 7},
        "nulls": {"input_cost_per_token": 1, "output_cost_per_token": null}
    }"#;
    let table = PriceTable::with_file(text).unwrap();
    let cached = Usage { cache_read: 1, ..Usage::new(1, 0) };
    let cases = [
        ("gpt-4o", Usage::new(1, 1), "0.003"),
        ("gpt-4o-2024-08-06", Usage::new(1, 1), "0.003"),
        ("gpt-4o-mini", Usage::new(1_000_000, 0), "0.15"),
        ("our-deployment", Usage::new(1, 1), "0.003"),
        ("azure/our-deployment", Usage::new(1, 1), "0.003"),
        ("our-other", Usage::new(1_000_000, 1), "4"),
        ("steps", Usage::new(256_000, 1), "256002"),
        ("steps", Usage::new(256_001, 1), "768005"),
        ("xai/grok", Usage::new(199_999, 0), "199999"),
        ("xai/grok", Usage::new(200_000, 0), "400000"),
        ("hit", cached, "7"),
        ("nulls", Usage::new(1, 0), "1"),
    ];
    for (model, usage, expected) in cases {
        assert_eq!(table.cost("", model, usage), usd(expected), "{model}");
    }
    for model in ["sample_spec", "pictures"] {
        assert_eq!(table.cost("", model, Usage::new(1, 0)), None, "{model}");
    }
    assert_eq!(table.cost("", "nulls", Usage::new(1, 1)), None);
    let error = PriceTable::with_file("{\"a\": {\n\"base_model\": \"unheard-of\"}}").unwrap_err();
    assert_eq!(error, "line 2: the base_model \"unheard-of\" of \"a\" is not known");
}
