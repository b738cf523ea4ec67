//! The methods of the recorded server, which hand each request on.
//!
//! rmcp's streamable HTTP takes nothing but a `ServerHandler`, so this is one. Each method of that trait has
//! to be here: the trait's own versions would answer in place of the handler.
#![allow(deprecated, reason = "older versions of the protocol have these requests")]

use std::borrow::Cow;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CancelledNotificationParam,
    CompleteRequestParams, CompleteResult, CustomNotification, CustomRequest, CustomResult,
    DiscoverResult, GetPromptRequestParams, GetPromptResponse, GetSkillRequestParams,
    GetSkillResult, GetTaskParams, GetTaskResult, InitializeRequestParams, InitializeResult,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListSkillsResult,
    ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion,
    ReadResourceDirectoryRequestParams, ReadResourceDirectoryResult, ReadResourceRequestParams,
    ReadResourceResponse, ServerConfig, SetLevelRequestParams, SubscribeRequestParams,
    SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer, SubscriptionContext};
use rmcp::{ErrorData, ServerHandler};

use super::answer::Answer;
use super::asked::Asked;
use super::open::record;
use super::server::McpServer;

type Page = Option<PaginatedRequestParams>;

/// Makes the methods that record their request. A row is the method, its parameters and its result, what
/// is asked, and how its result is read.
macro_rules! recorded {
    ($($method:ident($params:ty) -> $result:ty, $asked:expr, $answer:expr;)+) => {$(
        async fn $method(
            &self,
            request: $params,
            context: RequestContext<RoleServer>,
        ) -> Result<$result, ErrorData> {
            let asked: fn(&$params) -> Asked<'_> = $asked;
            let open = self.begin(asked(&request), &context);
            record(open, self.inner.$method(request, context), $answer).await
        }
    )+};
}

/// Makes the methods that hand a notification on.
macro_rules! notified {
    ($($method:ident($params:ty);)+) => {$(
        async fn $method(&self, notification: $params, context: NotificationContext<RoleServer>) {
            self.inner.$method(notification, context).await;
        }
    )+};
}

impl<S: ServerHandler> ServerHandler for McpServer<S> {
    recorded! {
        initialize(InitializeRequestParams) -> InitializeResult,
            |_| Asked::of_method("initialize"), |result| Answer::of_result(result);
        complete(CompleteRequestParams) -> CompleteResult,
            |_| Asked::of_method("completion/complete"), |result| Answer::of_result(result);
        set_level(SetLevelRequestParams) -> (),
            |_| Asked::of_method("logging/setLevel"), |()| Answer::done();
        get_prompt(GetPromptRequestParams) -> GetPromptResponse,
            |request| Asked::of_prompt(request), |result| Answer::of_prompt_response(result);
        list_prompts(Page) -> ListPromptsResult,
            |_| Asked::of_method("prompts/list"), |result| Answer::of_result(result);
        list_resources(Page) -> ListResourcesResult,
            |_| Asked::of_method("resources/list"), |result| Answer::of_result(result);
        list_resource_templates(Page) -> ListResourceTemplatesResult,
            |_| Asked::of_method("resources/templates/list"), |result| Answer::of_result(result);
        read_resource(ReadResourceRequestParams) -> ReadResourceResponse,
            |request| Asked::of_resource(request), |result| Answer::of_resource_response(result);
        subscribe(SubscribeRequestParams) -> (),
            |request| Asked::of_uri("resources/subscribe", &request.uri), |()| Answer::done();
        unsubscribe(UnsubscribeRequestParams) -> (),
            |request| Asked::of_uri("resources/unsubscribe", &request.uri), |()| Answer::done();
        call_tool(CallToolRequestParams) -> CallToolResponse,
            |request| Asked::of_tool(request), |result| Answer::of_tool_response(result);
        list_tools(Page) -> ListToolsResult,
            |_| Asked::of_method("tools/list"), |result| Answer::of_result(result);
        on_custom_request(CustomRequest) -> CustomResult,
            |request| Asked::of_custom(request), |result| Answer::of_result(result);
        get_task(GetTaskParams) -> GetTaskResult,
            |_| Asked::of_method("tasks/get"), |result| Answer::of_result(result);
        update_task(UpdateTaskParams) -> (),
            |_| Asked::of_method("tasks/update"), |()| Answer::done();
        cancel_task(CancelTaskParams) -> (),
            |_| Asked::of_method("tasks/cancel"), |()| Answer::done();
        list_skills(Page) -> ListSkillsResult,
            |_| Asked::of_method("skills/list"), |result| Answer::of_result(result);
        get_skill(GetSkillRequestParams) -> GetSkillResult,
            |request| Asked::of_uri("skills/get", &request.uri), |result| Answer::of_result(result);
        read_resource_directory(ReadResourceDirectoryRequestParams) -> ReadResourceDirectoryResult,
            |request| Asked::of_uri("resources/directory/read", &request.uri),
            |result| Answer::of_result(result);
    }

    notified! {
        on_cancelled(CancelledNotificationParam);
        on_progress(ProgressNotificationParam);
        on_custom_notification(CustomNotification);
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.inner.on_initialized(context).await;
    }

    async fn on_roots_list_changed(&self, context: NotificationContext<RoleServer>) {
        self.inner.on_roots_list_changed(context).await;
    }

    async fn ping(&self, context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.inner.ping(context).await
    }

    async fn discover(
        &self,
        context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        let open = self.begin(Asked::of_method("server/discover"), &context);
        record(open, self.inner.discover(context), |result| Answer::of_result(result)).await
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.inner.listen(context).await
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        self.inner.accepted_subscription_filter(requested)
    }

    fn negotiate_initialize(
        &self,
        request: &InitializeRequestParams,
    ) -> Result<InitializeResult, ErrorData> {
        self.inner.negotiate_initialize(request)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.inner.supported_protocol_versions()
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.inner.get_tool(name)
    }

    fn get_info(&self) -> ServerConfig {
        self.inner.get_info()
    }
}
