//! The words of names: those that make a name one of a secret, and those that do not.

/// Words after a password that do not make it something else.
pub(super) const AFTER_PASSWORDS: [&[u8]; 6] =
    [b"hash", b"digest", b"value", b"confirmation", b"confirm", b"text"];
/// The passwords that such a word may follow.
pub(super) const PASSWORDS: [&[u8]; 5] = [b"password", b"passwd", b"pwd", b"passphrase", b"secret"];

/// The same, joined with a last word: `passwordnew`.
pub(super) const PASSWORDS_IN_A_WORD: [&[u8]; 6] =
    [b"passwordnew", b"passwordold", b"passwdnew", b"passwdold", b"pwdnew", b"pwdold"];
/// Passwords in other languages, without their first letters if these may be capitals outside ASCII.
pub(super) const FOREIGN_PASSWORDS: [&[u8]; 12] = [
    b"senha",
    b"contrasena",
    "contrase\u{f1}a".as_bytes(),
    b"motdepasse",
    b"heslo",
    b"haslo",
    "has\u{142}o".as_bytes(),
    "\u{5bc6}\u{7801}".as_bytes(),
    "\u{5bc6}\u{78bc}".as_bytes(),
    "\u{430}\u{440}\u{43e}\u{43b}\u{44c}".as_bytes(),
    "\u{30d1}\u{30b9}\u{30ef}\u{30fc}\u{30c9}".as_bytes(),
    "\u{be44}\u{bc00}\u{bc88}\u{d638}".as_bytes(),
];
/// Cookies and parameters of servers that carry a session. Other ids of sessions are no secrets.
pub(super) const SESSIONS: [&[u8]; 4] =
    [b"phpsessid", b"jsessionid", b"aspnetsessionid", b"connectsid"];
/// Signatures of requests, which are a key for them. Other signatures may be known to anybody.
pub(super) const SIGNATURES: [&[u8]; 3] = [b"oauthsignature", b"xamzsignature", b"xgoogsignature"];
/// Random strings from which codes or keys are made.
pub(super) const SEEDS: [&[u8]; 4] = [b"otpseed", b"mfaseed", b"secretseed", b"walletseed"];

/// Words after the name of a secret that say where it is used, or which one of several it is.
pub(super) const SUFFIXES: [&[u8]; 18] = [
    b"here",
    b"prod",
    b"production",
    b"dev",
    b"staging",
    b"test",
    b"live",
    b"local",
    b"sandbox",
    b"default",
    b"new",
    b"old",
    b"current",
    b"backup",
    b"base",
    b"primary",
    b"secondary",
    b"plaintext",
];

/// Keys to a door, not to a map.
pub(super) const KEYS: [&[u8]; 21] = [
    b"apikey",
    b"accesskey",
    b"privatekey",
    b"secretkey",
    b"accountkey",
    b"encryptionkey",
    b"signingkey",
    b"signaturekey",
    b"authkey",
    b"masterkey",
    b"subscriptionkey",
    b"sessionkey",
    b"storagekey",
    b"servicekey",
    b"adminkey",
    b"hmackey",
    b"sshkey",
    b"sharedkey",
    b"licensekey",
    b"servicerolekey",
    b"deploykey",
];
/// Words before `key` that make it a key that anybody may know, or a place in a table. Before any
/// other word a key is a secret if its value looks like one: `OPENAI_KEY`.
pub(super) const OPEN_KEYS: [&[u8]; 66] = [
    b"public",
    b"pub",
    b"publishable",
    b"site",
    b"verify",
    b"verification",
    b"verifying",
    b"recv",
    b"send",
    b"trusted",
    b"known",
    b"allowed",
    b"authorized",
    b"host",
    b"primary",
    b"foreign",
    b"unique",
    b"natural",
    b"surrogate",
    b"composite",
    b"compound",
    b"parent",
    b"child",
    b"sort",
    b"range",
    b"partition",
    b"row",
    b"cache",
    b"hash",
    b"lookup",
    b"index",
    b"group",
    b"shard",
    b"item",
    b"object",
    b"s3",
    b"blob",
    b"bucket",
    b"file",
    b"path",
    b"image",
    b"asset",
    b"upload",
    b"content",
    b"document",
    b"idempotency",
    b"idempotent",
    b"dedup",
    b"dedupe",
    b"deduplication",
    b"routing",
    b"route",
    b"correlation",
    b"trace",
    b"event",
    b"message",
    b"request",
    b"response",
    b"thread",
    b"node",
    b"issue",
    b"project",
    b"websocket",
    b"socket",
    b"lock",
    b"parameter",
];

/// Words that end with `key` and have nothing to do with secrets.
pub(super) const KEY_WORDS: [&[u8]; 8] =
    [b"monkey", b"turkey", b"donkey", b"hockey", b"jockey", b"whiskey", b"hotkey", b"passkey"];

/// Words before `token` that make it a part of a text of a model. A random string is a secret even so.
pub(super) const MODEL_TOKENS: [&[u8]; 44] = [
    b"decoded",
    b"input",
    b"output",
    b"prompt",
    b"completion",
    b"total",
    b"cached",
    b"audio",
    b"image",
    b"video",
    b"visual",
    b"text",
    b"reasoning",
    b"thinking",
    b"generated",
    b"sampled",
    b"draft",
    b"predicted",
    b"accepted",
    b"rejected",
    b"eot",
    b"eos",
    b"bos",
    b"boi",
    b"eoi",
    b"pad",
    b"unk",
    b"sep",
    b"mask",
    b"cls",
    b"fim",
    b"prefix",
    b"suffix",
    b"middle",
    b"stop",
    b"special",
    b"per",
    b"max",
    b"min",
    b"num",
    b"n",
    b"usage",
    b"unexpected",
    b"expected",
];
/// Words before `token` that make it a place in a list or the id of a request. Both may be random.
pub(super) const NO_TOKENS: [&[u8]; 28] = [
    // Places in a list.
    b"start",
    b"end",
    b"first",
    b"last",
    b"next",
    b"previous",
    b"prev",
    b"forward",
    b"backward",
    b"page",
    b"pagination",
    b"continuation",
    b"continue",
    b"resume",
    b"resumption",
    b"cursor",
    b"scroll",
    b"skip",
    b"sync",
    b"delta",
    b"sequence",
    // Ids of requests.
    b"progress",
    b"idempotency",
    b"cancellation",
    b"cancel",
    b"correlation",
    b"concurrency",
    b"dedup",
];
/// The same, of two words or more.
pub(super) const NO_LONG_TOKENS: [&[u8]; 2] = [b"publickeytoken", b"clientrequesttoken"];
/// The same, if no separator is between the word and `token`.
pub(super) const NO_TOKENS_IN_A_WORD: [&[u8]; 1] = [b"nextpage"];
/// As [`MODEL_TOKENS`], if no separator is between them: `subtoken`, but not `sub_token`.
pub(super) const MODEL_TOKENS_IN_A_WORD: [&[u8]; 2] = [b"sub", b"pre"];
/// Words before `tokens` that make them credentials.
pub(super) const TOKENS: [&[u8]; 5] =
    [b"accesstokens", b"refreshtokens", b"authtokens", b"apitokens", b"sessiontokens"];

/// Words before `pass` that make it something other than a password. A random string is a secret even
/// so: `x-acme-bypass`.
pub(super) const NO_PASSES: [&[u8]; 37] = [
    b"boarding",
    b"day",
    b"week",
    b"weekly",
    b"month",
    b"monthly",
    b"season",
    b"ski",
    b"lift",
    b"bus",
    b"rail",
    b"train",
    b"transit",
    b"travel",
    b"gate",
    b"hall",
    b"parking",
    b"free",
    b"low",
    b"high",
    b"all",
    b"band",
    b"first",
    b"second",
    b"single",
    b"one",
    b"two",
    b"multi",
    b"render",
    b"shader",
    b"depth",
    b"compute",
    b"tests",
    b"checks",
    b"by",
    b"pre",
    b"sub",
];
/// Letters before `pass` in one word that make it a password whatever it looks like: `dbpass`.
pub(super) const PASSES_IN_A_WORD: [&[u8]; 18] = [
    b"db", b"pg", b"ssh", b"sql", b"smtp", b"imap", b"ftp", b"ldap", b"user", b"root", b"admin",
    b"redis", b"mongo", b"mail", b"proxy", b"auth", b"login", b"require",
];
/// Words that end with `pass` and have nothing to do with passwords.
pub(super) const PASS_WORDS: [&[u8]; 6] =
    [b"compass", b"encompass", b"trespass", b"surpass", b"overpass", b"underpass"];
