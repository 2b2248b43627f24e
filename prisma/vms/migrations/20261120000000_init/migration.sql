-- CreateEnum
CREATE TYPE "vm_state" AS ENUM ('PENDING', 'PROVISIONING', 'STOPPED', 'STARTING', 'RUNNING', 'PAUSING', 'PAUSED', 'RESUMING', 'STOPPING', 'REBOOTING', 'MIGRATING', 'DELETING', 'DELETED', 'CRASHED', 'ERROR', 'UNKNOWN');

-- CreateEnum
CREATE TYPE "observed_state" AS ENUM ('NONE', 'RUNNING', 'PAUSED', 'STOPPED', 'CRASHED', 'MISSING', 'UNKNOWN');

-- CreateEnum
CREATE TYPE "host_state" AS ENUM ('ONLINE', 'OFFLINE', 'MAINTENANCE', 'DRAINING');

-- CreateTable
CREATE TABLE "vm" (
    "id" UUID NOT NULL,
    "tenant_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "live_name" TEXT,
    "state" "vm_state" NOT NULL DEFAULT 'PENDING',
    "state_reason" TEXT,
    "desired_state" "vm_state" NOT NULL,
    "generation" INTEGER NOT NULL DEFAULT 1,
    "observed" "observed_state" NOT NULL DEFAULT 'NONE',
    "observed_epoch" BIGINT NOT NULL DEFAULT 0,
    "observed_seq" BIGINT NOT NULL DEFAULT 0,
    "vcpus" INTEGER NOT NULL,
    "memory" BIGINT NOT NULL,
    "tags" TEXT[],
    "kernel" JSONB NOT NULL,
    "host_id" UUID,
    "placement" JSONB,
    "created_by" UUID,
    "operation_id" UUID,
    "operation_verb" TEXT,
    "force_stop" BOOLEAN NOT NULL DEFAULT false,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(3),
    "deleted_at" TIMESTAMPTZ(3),

    CONSTRAINT "vm_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "host" (
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "uri" TEXT NOT NULL,
    "migration_uri" TEXT,
    "labels" JSONB NOT NULL DEFAULT '{}',
    "state" "host_state" NOT NULL DEFAULT 'OFFLINE',
    "problem" TEXT,
    "generation" INTEGER NOT NULL DEFAULT 1,
    "reported_epoch" BIGINT NOT NULL DEFAULT 0,
    "libvirt_uuid" UUID,
    "hypervisor_type" TEXT NOT NULL,
    "hypervisor_version" TEXT,
    "libvirt_version" TEXT,
    "accelerated" BOOLEAN NOT NULL DEFAULT false,
    "cpus" INTEGER NOT NULL DEFAULT 0,
    "memory" BIGINT NOT NULL DEFAULT 0,
    "capacity_vcpus" INTEGER NOT NULL DEFAULT 0,
    "capacity_memory" BIGINT NOT NULL DEFAULT 0,
    "allocated_vcpus" INTEGER NOT NULL DEFAULT 0,
    "allocated_memory" BIGINT NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "seen_at" TIMESTAMPTZ(3),

    CONSTRAINT "host_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "vm_host_id_idx" ON "vm"("host_id");

-- CreateIndex
CREATE INDEX "vm_deleted_at_idx" ON "vm"("deleted_at");

-- CreateIndex
CREATE UNIQUE INDEX "vm_tenant_id_live_name_key" ON "vm"("tenant_id", "live_name");

-- CreateIndex
CREATE UNIQUE INDEX "host_name_key" ON "host"("name");

-- CreateIndex
CREATE UNIQUE INDEX "host_uri_key" ON "host"("uri");

-- CreateIndex
CREATE UNIQUE INDEX "host_libvirt_uuid_key" ON "host"("libvirt_uuid");

-- AddForeignKey
ALTER TABLE "vm" ADD CONSTRAINT "vm_host_id_fkey" FOREIGN KEY ("host_id") REFERENCES "host"("id") ON DELETE SET NULL ON UPDATE CASCADE;


-- What no bug and no race may bring about.
ALTER TABLE "host" ADD CONSTRAINT "host_not_overclaimed" CHECK ("allocated_vcpus" >= 0 AND "allocated_memory" >= 0);
ALTER TABLE "vm" ADD CONSTRAINT "vm_deleted_has_no_live_name" CHECK (("deleted_at" IS NULL) = ("live_name" IS NOT NULL));
