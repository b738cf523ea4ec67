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
const PROVIDERS: [(&str, &str); 6] = [
    ("aws.bedrock", "bedrock"),
    ("azure.ai.openai", "azure"),
    ("azure.ai.inference", "azure_ai"),
    ("gcp.vertex_ai", "vertex_ai"),
    ("gcp.gemini", "gemini"),
    ("gcp.gen_ai", "gemini"),
];

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
    let alias = PROVIDERS.iter().find(|(alias, _)| *alias == provider);
    let provider = alias.map_or(provider.as_str(), |(_, name)| name);
    if provider.is_empty() {
        return resolve_model_name(model, known);
    }
    let placed = format!("{provider}/{model}");
    // An unknown host may have its own prices, so its prefix is not replaced by a maker's.
    resolve_model_name(&placed, &known).or_else(|| known(model)).or_else(|| {
        model_names_less_prefixes(&model.trim().to_lowercase(), true)
            .iter()
            .find_map(|name| known(name))
    })
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
    let plain = without_model_version(&dashed);
    let undated = without_model_date(plain);
    let mut all = model_names_less_prefixes(name, false);
    let mut last = name;
    for shorter in [dashed.as_str(), plain, undated] {
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

/// Returns `name` without the part that says how it is run: Bedrock's `-v1:0`, a gateway's
/// `:thinking`, the customer's part of a fine-tuned model.
fn without_model_version(name: &str) -> &str {
    if name.starts_with("ft:") {
        let end = name.match_indices(':').nth(1).map_or(name.len(), |(at, _)| at);
        return &name[..end];
    }
    for mode in [":thinking", ":beta", "-default"] {
        if let Some(shorter) = name.strip_suffix(mode) {
            return shorter;
        }
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
