// Asks a model through the AI SDK of Vercel or OpenAI's client, with an instrumentation of each.
//
// `instrumented.mjs ai-sdk|ai-sdk-6|openai-js FOLDER URL`: the packages are in FOLDER, and URL is that of the model. Spans go
// to OTEL_EXPORTER_OTLP_ENDPOINT.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [which, folder, baseURL] = process.argv.slice(2);
const here = createRequire(pathToFileURL(folder + "/"));
const load = (name) => import(pathToFileURL(here.resolve(name)));
const { NodeSDK } = await load("@opentelemetry/sdk-node");
const { OTLPTraceExporter } = await load("@opentelemetry/exporter-trace-otlp-proto");
const { trace } = await load("@opentelemetry/api");
const exporter = { serviceName: which, traceExporter: new OTLPTraceExporter() };

/** Questions through the AI SDK: an answer, a stream, a tool, and a failure. */
async function askAiSdk({ ai, createOpenAI, told }) {
  const model = createOpenAI({ apiKey: "none", baseURL }).chat("gpt-4o");
  const weather = ai.tool({
    description: "the weather of a city",
    inputSchema: ai.jsonSchema({ type: "object", properties: { city: { type: "string" } } }),
    execute: async () => "sunny",
  });
  await ai.generateText({ model, prompt: "Write to ana@example.com", ...told });
  for await (const _ of ai.streamText({ model, prompt: "Again", ...told }).textStream);
  await ai.generateText({
    model, prompt: "Once more", tools: { weather }, stopWhen: ai.stepCountIs(3), ...told,
  });
  await ai.generateText({ model, prompt: "FAIL", maxRetries: 0, ...told }).catch(() => {});
}

const senders = {
  async "ai-sdk"() {
    const [ai, { createOpenAI }, { OpenTelemetry }] =
      await Promise.all(["ai", "@ai-sdk/openai", "@ai-sdk/otel"].map(load));
    ai.registerTelemetry(new OpenTelemetry({
      enrichSpan: ({ runtimeContext: who }) => ({ "user.id": who?.user, "gen_ai.conversation.id": who?.chat }),
    }));
    const told = {
      runtimeContext: { user: "u-1", chat: "chat-7" },
      telemetry: { functionId: "desk", includeRuntimeContext: { user: true, chat: true } },
    };
    return () => askAiSdk({ ai, createOpenAI, told });
  },
  async "ai-sdk-6"() {
    const [ai, { createOpenAI }] = await Promise.all(["ai-6", "ai-6-openai"].map(load));
    const metadata = { userId: "u-1", sessionId: "chat-7" };
    const told = { experimental_telemetry: { isEnabled: true, functionId: "desk", metadata } };
    return () => askAiSdk({ ai, createOpenAI, told });
  },
  async "openai-js"() {
    const { OpenAIInstrumentation } = await load("@opentelemetry/instrumentation-openai");
    exporter.instrumentations = [new OpenAIInstrumentation()];
    return async () => {
      const { OpenAI } = here("openai");
      const client = new OpenAI({ apiKey: "none", baseURL, maxRetries: 0 });
      const ask = (content, options) =>
        client.chat.completions.create({ model: "gpt-4o", messages: [{ role: "user", content }], ...options });
      await ask("Write to ana@example.com");
      for await (const _ of await ask("Again", { stream: true, stream_options: { include_usage: true } }));
      await ask("Once more");
      await ask("FAIL").catch(() => {});
    };
  },
};

const questions = await senders[which]();
const sdk = new NodeSDK(exporter);
sdk.start();
await trace.getTracer("desk").startActiveSpan("answer a question", async (span) => {
  await questions();
  span.end();
});
await sdk.shutdown();
