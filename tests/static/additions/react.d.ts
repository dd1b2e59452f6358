
// The part that JSDoc cannot say; see `tests/static/additions`.

/** The attributes of `<celery-progress>` in JSX. */
export interface CeleryProgressAttributes {
    "task-id"?: string;
    "task-ids"?: string;
    "workflow-id"?: string;
    "group-id"?: string;
    url?: string;
    label?: string;
    token?: string;
    "token-url"?: string;
    stream?: string;
    expanded?: boolean | "";
    cancellable?: boolean | "";
    "no-result"?: boolean | "";
    "no-error-detail"?: boolean | "";
    class?: string;
}

declare module "react" {
    namespace JSX {
        interface IntrinsicElements {
            "celery-progress": React.DetailedHTMLProps<React.HTMLAttributes<CeleryProgressElement>, CeleryProgressElement> & CeleryProgressAttributes;
        }
    }
}
