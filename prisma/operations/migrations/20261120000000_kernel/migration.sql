-- CreateEnum
CREATE TYPE "operation_state" AS ENUM ('QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLING', 'CANCELLED');

-- CreateEnum
CREATE TYPE "step_state" AS ENUM ('PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'UNDOING', 'UNDONE');

-- CreateTable
CREATE TABLE "operation" (
    "id" UUID NOT NULL,
    "service" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "state" "operation_state" NOT NULL DEFAULT 'QUEUED',
    "unwinding" BOOLEAN NOT NULL DEFAULT false,
    "cursor" INTEGER NOT NULL DEFAULT 0,
    "progress" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "target_type" TEXT NOT NULL,
    "target_id" UUID NOT NULL,
    "tenant_id" UUID,
    "requested_by" UUID,
    "request_id" TEXT,
    "cancellable" BOOLEAN NOT NULL DEFAULT true,
    "cancel_requested_at" TIMESTAMPTZ(3),
    "error" JSONB,
    "due_at" TIMESTAMPTZ(3) DEFAULT CURRENT_TIMESTAMP,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "operation_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "step" (
    "operation_id" UUID NOT NULL,
    "index" INTEGER NOT NULL,
    "name" TEXT NOT NULL,
    "service" TEXT NOT NULL,
    "host_id" UUID,
    "input" JSONB NOT NULL,
    "output" JSONB,
    "state" "step_state" NOT NULL DEFAULT 'PENDING',
    "undoable" BOOLEAN NOT NULL DEFAULT false,
    "final" BOOLEAN NOT NULL DEFAULT false,
    "attempt" INTEGER NOT NULL DEFAULT 0,
    "progress" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "fence" BIGINT,
    "claimed_by" TEXT,
    "claimed_until" TIMESTAMPTZ(3),
    "host_epoch" BIGINT,
    "error" JSONB,
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "step_pkey" PRIMARY KEY ("operation_id","index")
);

-- CreateTable
CREATE TABLE "host_lease" (
    "host_id" UUID NOT NULL,
    "holder" TEXT NOT NULL,
    "epoch" BIGINT NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "host_lease_pkey" PRIMARY KEY ("host_id")
);

-- CreateTable
CREATE TABLE "idempotency_key" (
    "user_id" UUID NOT NULL,
    "mutation" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "input_hash" TEXT NOT NULL,
    "result" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "idempotency_key_pkey" PRIMARY KEY ("user_id","mutation","key")
);

-- CreateTable
CREATE TABLE "outbox" (
    "id" BIGSERIAL NOT NULL,
    "type" TEXT NOT NULL,
    "entity_id" TEXT NOT NULL,
    "tenant_id" UUID,
    "body" JSONB NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "outbox_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "event_log" (
    "position" BIGINT NOT NULL,
    "type" TEXT NOT NULL,
    "entity_id" TEXT NOT NULL,
    "tenant_id" UUID,
    "body" JSONB NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "event_log_pkey" PRIMARY KEY ("position")
);

-- CreateTable
CREATE TABLE "event_head" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "head" BIGINT NOT NULL DEFAULT 0,
    "trimmed" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "event_head_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "quota" (
    "tenant_id" UUID NOT NULL,
    "vms" BIGINT,
    "vcpus" BIGINT,
    "memory" BIGINT,
    "used_vms" BIGINT NOT NULL DEFAULT 0,
    "used_vcpus" BIGINT NOT NULL DEFAULT 0,
    "used_memory" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "quota_pkey" PRIMARY KEY ("tenant_id")
);

-- CreateIndex
CREATE INDEX "operation_target_id_id_idx" ON "operation"("target_id", "id");

-- CreateIndex
CREATE INDEX "operation_tenant_id_id_idx" ON "operation"("tenant_id", "id");

-- CreateIndex
CREATE INDEX "operation_due_at_idx" ON "operation"("due_at");

-- CreateIndex
CREATE INDEX "idempotency_key_created_at_idx" ON "idempotency_key"("created_at");

-- CreateIndex
CREATE INDEX "event_log_at_idx" ON "event_log"("at");

-- AddForeignKey
ALTER TABLE "step" ADD CONSTRAINT "step_operation_id_fkey" FOREIGN KEY ("operation_id") REFERENCES "operation"("id") ON DELETE CASCADE ON UPDATE CASCADE;

