//! Requests to model providers, recognized by their path and the shape of their body.

use http::{Method, Uri};
use llm_audit_log::json::Json;

use crate::config::percent_decoded;

/// A request that a model provider answers, as far as its URL shows it.
#[derive(Debug)]
pub(super) struct ModelRequest {
    /// The value of OpenTelemetry's `gen_ai.operation.name`.
    pub(super) operation: &'static str,
    /// The value of OpenTelemetry's `gen_ai.provider.name`.
    pub(super) provider: &'static str,
    /// The host is that of a provider.
    pub(super) is_host_known: bool,
    /// The model or the deployment that the path names.
    pub(super) model: Option<String>,
    /// The answer may be a list of JSON values.
    pub(super) is_list: bool,
    /// The body has one of these members, unless the path is enough.
    inputs: &'static [&'static str],
}

/// A path that models are asked at.
struct ModelPath {
    end: &'static str,
    operation: &'static str,
    /// The provider that made the protocol. Unknown hosts count as this one.
    provider: &'static str,
    /// What precedes the model's name in the path.
    before_model: Option<&'static str>,
    inputs: &'static [&'static str],
}

const fn path(
    end: &'static str,
    operation: &'static str,
    provider: &'static str,
    before_model: Option<&'static str>,
    inputs: &'static [&'static str],
) -> ModelPath {
    ModelPath { end, operation, provider, before_model, inputs }
}

const AZURE: Option<&str> = Some("/deployments/");
const GOOGLE: Option<&str> = Some("/models/");
const BEDROCK: Option<&str> = Some("/model/");

/// The first that fits counts.
const PATHS: [ModelPath; 19] = [
    path("/chat/completions", "chat", "openai", AZURE, &["messages"]),
    path("/completions", "text_completion", "openai", AZURE, &["prompt"]),
    path("/embeddings", "embeddings", "openai", AZURE, &["input"]),
    path("/responses", "chat", "openai", AZURE, &["input", "prompt"]),
    path("/v1/messages", "chat", "anthropic", None, &["messages"]),
    path("/v2/chat", "chat", "cohere", None, &["messages"]),
    path("/v1/chat", "chat", "cohere", None, &["message"]),
    path("/v2/embed", "embeddings", "cohere", None, &["texts", "images", "inputs"]),
    path("/v1/embed", "embeddings", "cohere", None, &["texts", "images"]),
    path(":generateContent", "generate_content", "gcp.gemini", GOOGLE, &["contents"]),
    path(":streamGenerateContent", "generate_content", "gcp.gemini", GOOGLE, &["contents"]),
    path(":embedContent", "embeddings", "gcp.gemini", GOOGLE, &["content"]),
    path(":batchEmbedContents", "embeddings", "gcp.gemini", GOOGLE, &["requests"]),
    path(":rawPredict", "chat", "gcp.vertex_ai", GOOGLE, &["messages"]),
    path(":streamRawPredict", "chat", "gcp.vertex_ai", GOOGLE, &["messages"]),
    path("/converse", "chat", "aws.bedrock", BEDROCK, &[]),
    path("/converse-stream", "chat", "aws.bedrock", BEDROCK, &[]),
    path("/invoke", "chat", "aws.bedrock", BEDROCK, &[]),
    path("/invoke-with-response-stream", "chat", "aws.bedrock", BEDROCK, &[]),
];

/// The providers of hosts, by the end of the host's name.
const HOSTS: [(&str, &str); 21] = [
    ("api.openai.com", "openai"),
    (".openai.azure.com", "azure.ai.openai"),
    (".cognitiveservices.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".models.ai.azure.com", "azure.ai.inference"),
    ("models.inference.ai.azure.com", "azure.ai.inference"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".amazonaws.com", "aws.bedrock"),
    (".mistral.ai", "mistral_ai"),
    (".cohere.com", "cohere"),
    (".cohere.ai", "cohere"),
    (".groq.com", "groq"),
    (".deepseek.com", "deepseek"),
    (".perplexity.ai", "perplexity"),
    ("api.x.ai", "x_ai"),
    (".ml.cloud.ibm.com", "ibm.watsonx.ai"),
    (".moonshot.ai", "moonshot_ai"),
    (".moonshot.cn", "moonshot_ai"),
    ("openrouter.ai", "openrouter"),
];

impl ModelRequest {
    /// Recognizes a request by its method, its path and its host.
    pub(super) fn recognize(method: &Method, uri: &Uri) -> Option<Self> {
        if method != Method::POST {
            return None;
        }
        let path = uri.path().trim_end_matches('/');
        let found = PATHS.iter().find(|known| known.fits(path))?;
        let of_host = provider_of_host(uri.host());
        Some(Self {
            operation: found.operation,
            provider: of_host.unwrap_or(found.provider),
            is_host_known: of_host.is_some(),
            model: found.model_in(path),
            is_list: found.end == ":streamGenerateContent",
            inputs: found.inputs,
        })
    }

    /// Reports whether a body has the shape of such a request.
    pub(super) fn fits(&self, body: Json<'_>) -> bool {
        self.inputs.is_empty() || self.inputs.iter().any(|name| body.get(name).is_some())
    }
}

impl ModelPath {
    /// Bedrock's ends are ordinary words, so they count only after the name of a model.
    fn fits(&self, path: &str) -> bool {
        path.ends_with(self.end) && (!self.inputs.is_empty() || self.model_in(path).is_some())
    }

    fn model_in(&self, path: &str) -> Option<String> {
        let (_, named) = path.strip_suffix(self.end)?.rsplit_once(self.before_model?)?;
        let model = named.split('/').next().filter(|model| !model.is_empty())?;
        percent_decoded(model)
    }
}

fn provider_of_host(host: Option<&str>) -> Option<&'static str> {
    let host = host?.to_ascii_lowercase();
    HOSTS.iter().find(|(end, _)| host.ends_with(end)).map(|(_, provider)| *provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognized(url: &str) -> Option<ModelRequest> {
        ModelRequest::recognize(&Method::POST, &url.parse().unwrap())
    }

    #[test]
    fn a_path_names_the_operation_and_often_the_model() {
        let bedrock = "https://bedrock-runtime.eu-west-1.amazonaws.com/model";
        let arn = "arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Aapplication-inference-profile%2Fx";
        let vertex = "https://aiplatform.googleapis.com/v1/projects/p/locations/l/publishers";
        let cases = [
            ("https://api.openai.com/v1/chat/completions/", "openai", "chat", None),
            ("https://api.mistral.ai/v1/chat/completions", "mistral_ai", "chat", None),
            ("http://localhost/v1/completions", "openai", "text_completion", None),
            (
                "https://x.services.ai.azure.com/models/chat/completions",
                "azure.ai.inference",
                "chat",
                None,
            ),
            (
                "https://X.openai.azure.com/openai/deployments/own/embeddings",
                "azure.ai.openai",
                "embeddings",
                Some("own"),
            ),
            (
                &format!("{bedrock}/{arn}/converse-stream"),
                "aws.bedrock",
                "chat",
                Some("arn:aws:bedrock:eu-west-1:1:application-inference-profile/x"),
            ),
            (
                &format!("{vertex}/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict"),
                "gcp.vertex_ai",
                "chat",
                Some("claude-sonnet-4-5@20250929"),
            ),
            (
                &format!("{vertex}/google/models/gemini-2.5-pro:generateContent"),
                "gcp.vertex_ai",
                "generate_content",
                Some("gemini-2.5-pro"),
            ),
        ];
        for (url, provider, operation, model) in cases {
            let request = recognized(url).unwrap_or_else(|| panic!("{url}"));
            let found = (request.provider, request.operation, request.model.as_deref());
            assert_eq!(found, (provider, operation, model), "{url}");
        }
    }

    #[test]
    fn other_paths_are_not_of_models() {
        for url in [
            "https://api.openai.com/v1/responses/resp_1/cancel",
            "https://api.anthropic.com/v1/messages/batches",
            "https://example.com/model/invoke",
            "https://example.com/converse",
            "https://example.com/model//invoke",
            "https://example.com/",
        ] {
            assert!(recognized(url).is_none(), "{url}");
        }
    }
}
