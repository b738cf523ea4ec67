//! Resolves the name of a model to a known model, but never to another one. If a name is not known,
//! it stays unknown.

/// Hosts and gateways. Their prefix names the place where a model runs, and a maker's prefix may
/// follow.
const HOSTS: [&str; 12] = [
    "azure",
    "azure_ai",
    "bedrock",
    "bedrock_converse",
    "converse",
    "invoke",
    "vertex_ai",
    "models",
    "openrouter",
    "litellm_proxy",
    "vercel_ai_gateway",
    "publishers",
];

/// The spellings of makers' prefixes, and the prefix in the table.
const MAKERS: [(&str, &str); 19] = [
    ("openai", "openai"),
    ("anthropic", "anthropic"),
    ("gemini", "gemini"),
    ("google", "gemini"),
    ("mistral", "mistral"),
    ("mistralai", "mistral"),
    ("mistral_ai", "mistral"),
    ("cohere", "cohere"),
    ("cohere_chat", "cohere"),
    ("xai", "xai"),
    ("x-ai", "xai"),
    ("x_ai", "xai"),
    ("deepseek", "deepseek"),
    ("zai", "zai"),
    ("z-ai", "zai"),
    ("moonshot", "moonshot"),
    ("moonshotai", "moonshot"),
    ("perplexity", "perplexity"),
    ("voyage", "voyage"),
];

/// The beginnings of a maker's model names, if the table has the models under the maker's prefix.
const FAMILIES: [(&str, &str); 18] = [
    ("mistral", "mistral"),
    ("magistral", "mistral"),
    ("codestral", "mistral"),
    ("devstral", "mistral"),
    ("ministral", "mistral"),
    ("pixtral", "mistral"),
    ("voxtral", "mistral"),
    ("open-mi", "mistral"),
    ("grok", "xai"),
    ("deepseek", "deepseek"),
    ("gemini", "gemini"),
    ("command", "cohere"),
    ("embed-v", "cohere"),
    ("voyage", "voyage"),
    ("glm", "zai"),
    ("kimi", "moonshot"),
    ("moonshot", "moonshot"),
    ("sonar", "perplexity"),
];

/// The prefixes of Bedrock's model ids, which name the region that runs a model.
const REGIONS: [&str; 7] = ["us.", "eu.", "apac.", "au.", "jp.", "global.", "us-gov."];

/// The names of providers elsewhere (OpenTelemetry's `gen_ai.provider.name`), and here.
const PROVIDERS: [(&str, &str); 31] = [
    ("aws.bedrock", "bedrock"),
    ("amazon-bedrock", "bedrock"),
    ("amazon_bedrock", "bedrock"),
    ("az.ai.openai", "azure"),
    ("az.ai.inference", "azure_ai"),
    ("azure.ai.openai", "azure"),
    ("azure.ai.inference", "azure_ai"),
    ("azure-openai", "azure"),
    ("azure_openai", "azure"),
    ("gcp.vertex_ai", "vertex_ai"),
    ("google.vertex", "vertex_ai"),
    ("google-vertex", "vertex_ai"),
    ("google_vertexai", "vertex_ai"),
    ("vertex_ai_beta", "vertex_ai"),
    ("vertex", "vertex_ai"),
    ("vertexai", "vertex_ai"),
    ("gcp.gemini", "gemini"),
    ("gcp.gen_ai", "gemini"),
    ("google.generative-ai", "gemini"),
    ("google_genai", "gemini"),
    ("google-genai", "gemini"),
    ("ibm.watsonx.ai", "watsonx"),
    ("together", "together_ai"),
    ("togetherai", "together_ai"),
    ("fireworks", "fireworks_ai"),
    ("moonshot_ai", "moonshot"),
    ("z_ai", "zai"),
    ("zhipu", "zai"),
    ("alibaba", "dashscope"),
    ("qwen", "dashscope"),
    ("github", "github_copilot"),
];

/// The ends of the AI SDK's providers, which name an interface of one provider.
const INTERFACES: [&str; 6] =
    [".chat", ".responses", ".messages", ".completion", ".embedding", ".generative-ai"];

/// Programs that run models on the caller's own machine. No maker's price applies to these.
const LOCAL: [&str; 9] = [
    "ollama",
    "vllm",
    "hosted_vllm",
    "sglang",
    "lmstudio",
    "lm_studio",
    "llamafile",
    "llama.cpp",
    "llamacpp",
];

/// What a gateway or a client adds to a name, and what has no price of its own: routing, a longer
/// context, visible thinking.
const MODES: [&str; 7] = [":thinking", ":beta", ":nitro", ":floor", "-default", "[1m]", "[200k]"];
/// How much a model thinks, as gateways add it to the names of [`THINKERS`].
const EFFORTS: [&str; 5] = ["-minimal", "-low", "-medium", "-high", "-xhigh"];
const THINKERS: [&str; 4] = ["o1", "o3", "o4", "gpt-5"];

/// Returns the value of the first known spelling of `name`.
///
/// The most exact spelling comes first: the name as it is, then in lower case, then without the
/// prefixes of hosts and makers. After these come the same spellings without dates and versions.
pub(super) fn resolve_model_name<T>(name: &str, known: impl Fn(&str) -> Option<T>) -> Option<T> {
    known(name).or_else(|| {
        let name = name.trim().to_lowercase();
        model_name_spellings(&name).iter().find_map(|spelling| known(spelling))
    })
}

/// Resolves the name of a model that this provider ran; see [`resolve_model_name`].
pub(super) fn resolve_model_at_provider<T>(
    provider: &str,
    model: &str,
    known: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let provider = provider.trim().to_lowercase();
    let provider = provider_prefix(&provider);
    if provider.is_empty() {
        return resolve_model_name(model, known);
    }
    let placed = format!("{provider}/{}", model.trim());
    if LOCAL.contains(&provider) {
        return known(&placed).or_else(|| known(&placed.to_lowercase()));
    }
    // An unknown host may have its own prices, so its prefix is not replaced by a maker's.
    resolve_model_name(&placed, &known).or_else(|| known(model)).or_else(|| {
        model_names_less_prefixes(&model.trim().to_lowercase(), true)
            .iter()
            .find_map(|name| known(name))
    })
}

/// Returns the prefix of the models of this provider, whoever names it.
fn provider_prefix(provider: &str) -> &str {
    let alias = |name: &str| PROVIDERS.iter().find(|(alias, _)| *alias == name).map(|(_, to)| *to);
    let plain = || INTERFACES.iter().find_map(|interface| provider.strip_suffix(interface));
    alias(provider).or_else(|| plain().map(|name| alias(name).unwrap_or(name))).unwrap_or(provider)
}

/// Returns the name under which Anthropic's models are known, in whichever order version and family
/// come: `claude-4.5-sonnet` is `claude-sonnet-4-5`.
pub(super) fn canonical_claude_name(name: &str) -> Option<String> {
    let rest = name.strip_prefix("claude-")?;
    let rest = rest.replace('.', "-");
    let words: Vec<&str> = rest.split('-').collect();
    let is_version = |word: &&&str| word.len() <= 2 && word.bytes().all(|b| b.is_ascii_digit());
    let versions = words.iter().take_while(is_version).count();
    let Some(family) = words.get(versions).filter(|_| versions > 0) else {
        return Some(format!("claude-{rest}"));
    };
    let order = [family].into_iter().chain(&words[..versions]).chain(&words[versions + 1..]);
    Some(order.fold("claude".to_owned(), |name, word| name + "-" + word))
}

fn model_name_spellings(name: &str) -> Vec<String> {
    let dashed = name.replace('@', "-");
    let moded = without_model_modes(&dashed);
    let plain = without_model_version(moded);
    let undated = without_model_date(plain);
    let mut all = model_names_less_prefixes(name, false);
    let mut last = name;
    for shorter in [dashed.as_str(), moded, plain, undated] {
        if shorter != last {
            all.extend(model_names_less_prefixes(shorter, false));
            last = shorter;
        }
    }
    all
}

/// Returns `name`, then the same with one prefix fewer each time.
fn model_names_less_prefixes(name: &str, is_hosted: bool) -> Vec<String> {
    let (mut rest, mut is_hosted) = (name, is_hosted);
    let mut all = vec![rest.to_owned()];
    loop {
        if let Some(shorter) = without_host_prefix(rest) {
            // A router charges a maker's prices; a host has its own.
            is_hosted |= !rest.starts_with("openrouter/");
            rest = shorter;
        } else if let Some((own, shorter)) = split_maker_prefix(rest) {
            all.push(format!("{own}/{shorter}"));
            rest = shorter;
        } else {
            break;
        }
        all.push(rest.to_owned());
    }
    all.extend(canonical_claude_name(rest));
    let family = FAMILIES.iter().find(|(head, _)| rest.starts_with(head));
    if let (Some((_, own)), false, false) = (family, is_hosted, rest.contains('/')) {
        all.push(format!("{own}/{rest}"));
    }
    all
}

/// Returns `name` without the host, the folders or the region at its beginning.
fn without_host_prefix(name: &str) -> Option<&str> {
    if let Some((_, model)) = name.strip_prefix("projects/").and_then(|n| n.split_once("/models/"))
    {
        return Some(model);
    }
    if name.starts_with("arn:") {
        return name.rsplit_once('/').map(|(_, id)| id);
    }
    if let Some((prefix, rest)) = name.split_once('/') {
        let is_region = prefix.len() <= 16
            && prefix.matches('-').count() >= 2
            && prefix.ends_with(|c: char| c.is_ascii_digit());
        return (HOSTS.contains(&prefix) || is_region).then_some(rest);
    }
    let region = REGIONS.iter().find_map(|region| name.strip_prefix(region));
    region.filter(|id| id.contains('.')).or_else(|| name.strip_prefix("anthropic."))
}

fn split_maker_prefix(name: &str) -> Option<(&'static str, &str)> {
    let (prefix, rest) = name.split_once('/')?;
    MAKERS.iter().find(|(spelling, _)| *spelling == prefix).map(|(_, own)| (*own, rest))
}

/// Returns `name` without the modes at its end, of which there may be several.
fn without_model_modes(name: &str) -> &str {
    let mut rest = name;
    while let Some(shorter) = without_model_mode(rest) {
        rest = shorter;
    }
    rest
}

fn without_model_mode(name: &str) -> Option<&str> {
    let family = name.rsplit('/').next().unwrap_or(name);
    let is_thinker = THINKERS.iter().any(|head| family.starts_with(head));
    let efforts: &[&str] = if is_thinker { &EFFORTS } else { &[] };
    // Models of other makers with this end are models of their own.
    let thinking: &[&str] = if name.contains("claude") { &["-thinking"] } else { &[] };
    let mut modes = MODES.iter().chain(efforts).chain(thinking);
    modes.find_map(|mode| name.strip_suffix(mode))
}

/// Returns `name` without the part that says which copy it is: Bedrock's `-v1:0`, the customer's
/// part of a fine-tuned model.
fn without_model_version(name: &str) -> &str {
    let model = name.rfind("ft:").filter(|at| *at == 0 || name[..*at].ends_with('/'));
    if let Some(start) = model {
        let end = name[start..].match_indices(':').nth(1).map_or(name.len(), |(at, _)| start + at);
        return &name[..end];
    }
    let Some((model, version)) = name.rsplit_once("-v") else { return name };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    // In other names `v3` is part of the name.
    let is_version = name.contains("claude") && version.split(':').all(is_number);
    if is_version { model } else { name }
}

/// Returns `name` without a date, or a suffix like `-latest`, at its end.
fn without_model_date(name: &str) -> &str {
    if let Some(model) = name.strip_suffix("-latest") {
        return model;
    }
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let in_range = |text: &str, most: u8| {
        text.len() == 2 && digits(text) && text.parse().is_ok_and(|n: u8| (1..=most).contains(&n))
    };
    let is_day = |month: &str, day: &str| in_range(month, 12) && in_range(day, 31);
    let is_year = |year: &str| year.len() == 4 && digits(year) && year.starts_with("20");
    let words: Vec<&str> = name.rsplitn(4, '-').collect();
    let cut = |dated: usize| &name[..name.len() - dated];
    match words[..] {
        [day, month, year, _] if is_year(year) && is_day(month, day) => cut("-2024-08-06".len()),
        [date, _, ..]
            if date.len() == 8
                && date.is_ascii()
                && is_year(&date[..4])
                && is_day(&date[4..6], &date[6..]) =>
        {
            cut("-20240806".len())
        }
        [day, month, "preview", _] if is_day(month, day) => cut("-05-20".len()),
        [number, _, ..] if number.len() == 3 && digits(number) && name.contains("gemini") => {
            cut("-001".len())
        }
        _ => name,
    }
}
