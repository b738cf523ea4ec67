//! Settings of the service: its address, its provider, its store of transcripts.

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::store::{Folder, Store};

/// The model that is asked first.
const MODEL: &str = "gpt-4o";
/// The model that is asked if the first one does not answer.
pub(crate) const FALLBACK_MODEL: &str = "gpt-4o-mini";
/// A provider gets this long for one answer.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(60);

/// What a [`Service`](crate::Service) is started with.
#[derive(Clone)]
pub struct Config {
    /// Where it listens; port 0 is any free one.
    pub address: SocketAddr,
    /// Who answers for the model; `None` is the bundled stand-in.
    pub provider: Option<Provider>,
    /// The store of transcripts; if `None`, a temporary folder that is removed at the end.
    pub store: Option<Arc<dyn Store>>,
    /// Decides what the stand-ins do.
    pub seed: u64,
    /// Whether the summary of the model's tool calls skips those whose arguments are not JSON. Without it
    /// the summary fails: the bug that the page on replays is about.
    pub skips_malformed_calls: bool,
    /// Sends alerts to the push service, if the recorder has it for a notifier.
    #[cfg(feature = "alerts")]
    pub alert_push: crate::AlertPush,
}

impl Default for Config {
    /// Any free port of loopback, stand-ins, a temporary folder.
    fn default() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            address,
            provider: None,
            store: None,
            seed: 1,
            skips_malformed_calls: false,
            #[cfg(feature = "alerts")]
            alert_push: crate::AlertPush::default(),
        }
    }
}

impl Config {
    /// Reads the environment of the process:
    ///
    /// | variable | default | |
    /// |---|---|---|
    /// | `BENEFITS_ADDRESS` | `127.0.0.1:8080` | where it listens |
    /// | `BENEFITS_STORE` | a temporary folder | folder of the transcripts |
    /// | `BENEFITS_SEED` | `1` | what the stand-ins do |
    /// | `BENEFITS_SKIP_MALFORMED` | `false` | `true` mends the bug of the example |
    /// | `OPENAI_BASE_URL` | the stand-in | a provider, as `https://host/v1` (`https` needs the feature `tls`) |
    /// | `OPENAI_API_KEY` | none | its key |
    /// | `OPENAI_MODEL` | `gpt-4o` | the model asked first |
    /// | `OPENAI_FALLBACK_MODEL` | `gpt-4o-mini` | the model asked if that one does not answer |
    ///
    /// # Errors
    ///
    /// A value that is not accepted; the text names the variable.
    pub fn from_env() -> Result<Self, String> {
        Self::from_lookup(|name| env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), from another source of variables.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env).
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let address = set("BENEFITS_ADDRESS").unwrap_or_else(|| "127.0.0.1:8080".to_owned());
        let seed = set("BENEFITS_SEED").unwrap_or_else(|| "1".to_owned());
        let base_url = set("OPENAI_BASE_URL");
        if let Some(url) = base_url.as_deref().filter(|url| !is_reachable(url)) {
            return Err(format!(
                "OPENAI_BASE_URL is {url:?}; accepted: http://…; https://… with the feature `tls`"
            ));
        }
        let store = set("BENEFITS_STORE").map(|folder| Arc::new(Folder::new(folder)) as Arc<_>);
        Ok(Self {
            address: address.parse().map_err(|_| {
                format!("BENEFITS_ADDRESS is {address:?}; accepted: IP:PORT, as 127.0.0.1:8080")
            })?,
            provider: base_url.map(|base_url| Provider {
                base_url: base_url.trim_end_matches('/').to_owned(),
                api_key: set("OPENAI_API_KEY"),
                model: set("OPENAI_MODEL").unwrap_or_else(|| MODEL.to_owned()),
                fallback_model: set("OPENAI_FALLBACK_MODEL")
                    .unwrap_or_else(|| FALLBACK_MODEL.to_owned()),
                timeout: PROVIDER_TIMEOUT,
            }),
            store,
            skips_malformed_calls: set("BENEFITS_SKIP_MALFORMED").is_some_and(|set| set == "true"),
            seed: seed
                .parse()
                .map_err(|_| format!("BENEFITS_SEED is {seed:?}; accepted: a whole number"))?,
            #[cfg(feature = "alerts")]
            alert_push: crate::AlertPush::default(),
        })
    }
}

/// Of an `https` address the client needs TLS, which is not built by default.
fn is_reachable(base_url: &str) -> bool {
    base_url.starts_with("http://") || cfg!(feature = "tls") && base_url.starts_with("https://")
}

/// Who answers for the model, over the OpenAI-compatible protocol.
#[derive(Clone)]
pub struct Provider {
    /// What `/chat/completions` is appended to.
    pub base_url: String,
    /// Sent as `Authorization: Bearer …`.
    pub api_key: Option<String>,
    /// The model that is asked first.
    pub model: String,
    /// The model that is asked if the first one does not answer.
    pub fallback_model: String,
    /// How long one answer may take.
    pub timeout: Duration,
}

impl Provider {
    /// The bundled stand-in at this address, which is quick or does not answer at all.
    pub(crate) fn standin(address: SocketAddr) -> Self {
        Self {
            base_url: format!("http://{address}/v1"),
            api_key: Some(crate::planted::API_KEY.to_owned()),
            model: MODEL.to_owned(),
            fallback_model: FALLBACK_MODEL.to_owned(),
            timeout: Duration::from_millis(400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_a_provider() {
        let config = Config::from_lookup(|name| match name {
            "OPENAI_BASE_URL" => Some("http://models.example/v1/".to_owned()),
            "OPENAI_MODEL" => Some("m1".to_owned()),
            "BENEFITS_ADDRESS" => Some("127.0.0.1:0".to_owned()),
            "OPENAI_API_KEY" => Some(String::new()),
            _ => None,
        });
        let config = config.expect("all of it is accepted");
        let provider = config.provider.expect("a provider is named");
        assert_eq!(provider.base_url, "http://models.example/v1");
        assert_eq!((provider.model.as_str(), provider.api_key), ("m1", None));
        assert_eq!(config.address.port(), 0);
    }

    #[test]
    fn a_refused_variable_is_named() {
        let cases =
            [("BENEFITS_ADDRESS", "here"), ("BENEFITS_SEED", "-1"), ("OPENAI_BASE_URL", "host/v1")];
        for (name, given) in cases {
            let refused = Config::from_lookup(|asked| (asked == name).then(|| given.to_owned()));
            let text = refused.err().expect(name);
            assert!(text.starts_with(name) && text.contains("accepted: "), "{text}");
        }
    }
}
