-- CreateEnum
CREATE TYPE "migration_mode" AS ENUM ('LIVE', 'OFFLINE');

-- CreateEnum
CREATE TYPE "migration_state" AS ENUM ('QUEUED', 'CHECKING', 'PREPARING', 'COPYING_DISKS', 'COPYING_MEMORY', 'SWITCHING', 'COMPLETING', 'SUCCEEDED', 'FAILED', 'CANCELLING', 'CANCELLED', 'ROLLED_BACK');

-- CreateEnum
CREATE TYPE "target_seen" AS ENUM ('MISSING', 'INCOMING', 'ARRIVED');

-- CreateTable
CREATE TABLE "migration" (
    "id" UUID NOT NULL,
    "tenant_id" UUID NOT NULL,
    "vm_id" UUID NOT NULL,
    "from_host_id" UUID NOT NULL,
    "to_host_id" UUID NOT NULL,
    "mode" "migration_mode" NOT NULL,
    "copy_storage" BOOLEAN NOT NULL,
    "copied_disks" TEXT[],
    "bandwidth_bytes_per_second" BIGINT,
    "operation_id" UUID NOT NULL,
    "state" "migration_state" NOT NULL DEFAULT 'QUEUED',
    "progress" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "generation" INTEGER NOT NULL DEFAULT 1,
    "message" TEXT,
    "error" JSONB,
    "memory_total" BIGINT,
    "memory_transferred" BIGINT,
    "memory_remaining" BIGINT,
    "disks_transferred" BIGINT,
    "throughput" DOUBLE PRECISION,
    "dirty_rate" DOUBLE PRECISION,
    "iteration" INTEGER,
    "predicted_duration_ms" DOUBLE PRECISION,
    "downtime_ms" DOUBLE PRECISION,
    "auto_converge" BOOLEAN NOT NULL DEFAULT false,
    "needs" JSONB,
    "touched" BOOLEAN NOT NULL DEFAULT false,
    "target_seen" "target_seen",
    "target_asked" INTEGER NOT NULL DEFAULT 0,
    "target_answered" INTEGER NOT NULL DEFAULT 0,
    "target_unwanted" BOOLEAN NOT NULL DEFAULT false,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "migration_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "host_blocker" (
    "host_id" UUID NOT NULL,
    "vm_id" UUID NOT NULL,
    "vm_name" TEXT NOT NULL,
    "reason" TEXT NOT NULL,

    CONSTRAINT "host_blocker_pkey" PRIMARY KEY ("host_id","vm_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "migration_operation_id_key" ON "migration"("operation_id");

-- CreateIndex
CREATE INDEX "migration_vm_id_id_idx" ON "migration"("vm_id", "id");

-- CreateIndex
CREATE INDEX "migration_tenant_id_id_idx" ON "migration"("tenant_id", "id");

-- CreateIndex
CREATE INDEX "migration_to_host_id_finished_at_idx" ON "migration"("to_host_id", "finished_at");
