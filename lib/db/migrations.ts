import { sql, type Compilable, type Kysely } from "kysely";

/** A step forward. Names sort in the order of their application; a released one never changes. */
export type Migration = Readonly<{
  name: string;
  up: (schema: Kysely<unknown>) => readonly Compilable[];
}>;

export const migrations: readonly Migration[] = [
  {
    name: "0001-accounts-sessions-messages",
    up: ({ schema }) => [
      schema
        .createTable("users")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("username", "text", (column) => column.notNull())
        .addColumn("username_key", "text", (column) => column.notNull().unique())
        .addColumn("password_hash", "text", (column) => column.notNull())
        .addColumn("token_version", "integer", (column) => column.notNull().defaultTo(0))
        .addColumn("disabled_at", "integer")
        .addColumn("created_at", "integer", (column) => column.notNull()),
      schema
        .createTable("revoked_sign_ins")
        .addColumn("sign_in_id", "text", (column) => column.primaryKey())
        .addColumn("expires_at", "integer", (column) => column.notNull()),
      schema
        .createTable("sessions")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("user_id", "text", (column) =>
          column.notNull().references("users.id").onDelete("cascade"),
        )
        .addColumn("title", "text")
        .addColumn("provider", "text", (column) => column.notNull())
        .addColumn("model_name", "text", (column) => column.notNull())
        .addColumn("config_json", "text", (column) => column.notNull())
        .addColumn("sealed_api_key", "text")
        .addColumn("head_id", "text")
        .addColumn("last_seq", "integer", (column) => column.notNull().defaultTo(0))
        .addColumn("created_at", "integer", (column) => column.notNull())
        .addColumn("updated_at", "integer", (column) => column.notNull()),
      schema
        .createIndex("sessions_by_user")
        .on("sessions")
        .columns(["user_id", "updated_at", "id"]),
      schema
        .createTable("messages")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("session_id", "text", (column) =>
          column.notNull().references("sessions.id").onDelete("cascade"),
        )
        .addColumn("parent_id", "text", (column) => column.references("messages.id"))
        .addColumn("depth", "integer", (column) => column.notNull())
        .addColumn("role", "text", (column) => column.notNull())
        .addColumn("content", "text", (column) => column.notNull())
        .addColumn("reasoning", "text")
        .addColumn("tool_calls_json", "text")
        .addColumn("status", "text", (column) => column.notNull())
        .addColumn("token_count", "integer", (column) => column.notNull().defaultTo(0))
        .addColumn("client_id", "text")
        .addColumn("provider", "text")
        .addColumn("model", "text")
        .addColumn("finish_reason", "text")
        .addColumn("error_code", "text")
        .addColumn("usage_json", "text")
        .addColumn("timings_json", "text")
        .addColumn("cost", "real")
        .addColumn("created_at", "integer", (column) => column.notNull()),
      schema.createIndex("messages_by_session").on("messages").columns(["session_id", "depth"]),
      schema.createIndex("messages_by_parent").on("messages").column("parent_id"),
      schema
        .createIndex("messages_by_client_id")
        .unique()
        .on("messages")
        .columns(["session_id", "client_id"])
        .where(sql.ref("client_id"), "is not", null),
      schema
        .createIndex("messages_streaming")
        .on("messages")
        .column("status")
        .where(sql.ref("status"), "=", sql.lit("streaming")),
    ],
  },
];
