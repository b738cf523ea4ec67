//! One secret of every kind, for tests.

use super::Kind;

/// Returns the body of a token: `length` letters and digits that no rule matches alone.
pub(crate) fn sample_token_body(length: usize) -> String {
    "a1B2c3D4e5F6g7H8i9J0".chars().cycle().take(length).collect()
}

fn sample_hex(length: usize) -> String {
    "0a1b2c3d4e5f6789".chars().cycle().take(length).collect()
}

/// Returns one secret of every kind that is found by default. Each is concatenated here, so that no
/// file contains one.
pub(crate) fn sample_secrets() -> Vec<(Kind, String)> {
    use Kind::*;
    let token =
        |kind, prefix: &str, length| (kind, format!("{prefix}{}", sample_token_body(length)));
    let mut samples = vec![
        token(OpenaiKey, "sk-", 48),
        token(OpenaiKey, "sk-proj-", 60),
        token(OpenaiKey, "sk-svcacct-", 60),
        token(OpenaiKey, "sk-admin-", 60),
        token(AnthropicKey, "sk-ant-api03-", 90),
        token(AnthropicKey, "sk-ant-oat01-", 90),
        token(GithubToken, "ghp_", 36),
        token(GithubToken, "gho_", 36),
        token(GithubToken, "ghu_", 36),
        token(GithubToken, "ghs_", 36),
        token(GithubToken, "ghr_", 36),
        token(GithubToken, "github_pat_", 82),
        token(GitlabToken, "glpat-", 20),
        token(SlackToken, "xoxb-123456789012-", 24),
        token(SlackToken, "xoxp-", 40),
        token(GoogleKey, "AIza", 35),
        token(GoogleOauth, "ya29.", 60),
        token(GoogleOauth, "GOCSPX-", 28),
        token(StripeKey, "sk_live_", 24),
        token(StripeKey, "rk_test_", 24),
        token(HuggingfaceToken, "hf_", 34),
        token(NpmToken, "npm_", 36),
        token(PypiToken, "pypi-AgEIcHlwaS5vcmc", 70),
        token(VaultToken, "hvs.", 90),
        token(VaultToken, "s.", 24),
        token(PerplexityKey, "pplx-", 48),
        token(LangsmithKey, "lsv2_pt_", 43),
        token(BedrockKey, "ABSK", 80),
        token(ShopifyToken, "shpat_", 32),
        token(NewrelicKey, "NRAK-", 27),
        token(GrafanaToken, "glsa_", 41),
        token(LinearKey, "lin_api_", 40),
        token(NotionToken, "ntn_", 46),
        token(SentryToken, "sntrys_", 60),
        token(PostmanKey, "PMAK-", 59),
        token(ApiToken, "gsk_", 52),
        token(AzureKey, "abc8Q~", 34),
        (DatabricksToken, format!("dapi{}", sample_hex(32))),
        (TwilioKey, format!("SK{}", sample_hex(32))),
        (DigitaloceanToken, format!("dop_v1_{}", sample_hex(64))),
        (AgeKey, format!("AGE-SECRET-KEY-1{}", sample_token_body(58).to_uppercase())),
        (SendgridKey, format!("SG.{}.{}", sample_token_body(22), sample_token_body(43))),
        (
            DiscordToken,
            format!(
                "MTA{}.{}.{}",
                sample_token_body(23),
                sample_token_body(6),
                sample_token_body(38)
            ),
        ),
        (TelegramToken, format!("123456789:AA{}", sample_token_body(33))),
        (PasswordHash, format!("$2b$12${}", sample_token_body(53))),
        (
            Jwt,
            format!(
                "eyJ{}.eyJ{}.{}",
                sample_token_body(20),
                sample_token_body(30),
                sample_token_body(43)
            ),
        ),
        (Jwt, format!("eyJ{}.eyJ{}.", sample_token_body(20), sample_token_body(30))),
        (
            Jwt,
            format!(
                "eyJ{}..{}.{}.{}",
                sample_token_body(30),
                sample_token_body(16),
                sample_token_body(50),
                sample_token_body(22)
            ),
        ),
        (Iban, "DE89 3704 0044 0532 0130 00".to_owned()),
        (Iban, "gb29nwbk60161331926819".to_owned()),
        (UsSsn, "536-90-4399".to_owned()),
        (Card, "3782 822463 10005".to_owned()),
        (Card, "5500-0000-0000-0004".to_owned()),
        (Email, "kim@post.example".to_owned()),
        (WebhookUrl, format!("https://hooks.slack.com/services/T0/B0/{}", sample_token_body(24))),
    ];
    for prefix in ["AKIA", "ASIA", "ABIA", "ACCA"] {
        samples.push((AwsKey, format!("{prefix}0123456789ABCDEF")));
    }
    for label in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
        let block = format!("-----BEGIN {label}PRIVATE KEY-----\n{}\n", sample_token_body(64));
        samples.push((PrivateKey, format!("{block}-----END {label}PRIVATE KEY-----")));
    }
    samples
}
