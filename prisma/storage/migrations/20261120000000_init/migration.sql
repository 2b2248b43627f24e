-- CreateEnum
CREATE TYPE "pool_state" AS ENUM ('CREATING', 'READY', 'UNAVAILABLE', 'DELETED');

-- CreateEnum
CREATE TYPE "volume_state" AS ENUM ('CREATING', 'AVAILABLE', 'ATTACHING', 'IN_USE', 'DETACHING', 'RESIZING', 'SNAPSHOTTING', 'DELETING', 'DELETED', 'ERROR');

-- CreateEnum
CREATE TYPE "image_state" AS ENUM ('AWAITING_UPLOAD', 'IMPORTING', 'READY', 'DELETING', 'DELETED', 'ERROR');

-- CreateTable
CREATE TABLE "pool" (
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "type" TEXT NOT NULL DEFAULT 'dir',
    "tier" TEXT NOT NULL DEFAULT 'standard',
    "path" TEXT NOT NULL,
    "shared" BOOLEAN NOT NULL DEFAULT false,
    "state" "pool_state" NOT NULL DEFAULT 'CREATING',
    "capacity" BIGINT NOT NULL DEFAULT 0,
    "foreign" BIGINT NOT NULL DEFAULT 0,
    "room" BIGINT NOT NULL DEFAULT 0,
    "claimed" BIGINT NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "seen_at" TIMESTAMPTZ(3),

    CONSTRAINT "pool_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "pool_host" (
    "pool_id" UUID NOT NULL,
    "host_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "state" "pool_state" NOT NULL DEFAULT 'CREATING',
    "problem" TEXT,

    CONSTRAINT "pool_host_pkey" PRIMARY KEY ("pool_id","host_id")
);

-- CreateTable
CREATE TABLE "volume" (
    "id" UUID NOT NULL,
    "tenant_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "live_name" TEXT,
    "state" "volume_state" NOT NULL DEFAULT 'CREATING',
    "problem" TEXT,
    "generation" INTEGER NOT NULL DEFAULT 1,
    "size" BIGINT NOT NULL,
    "allocated" BIGINT,
    "format" TEXT NOT NULL,
    "encrypted" BOOLEAN NOT NULL DEFAULT false,
    "passphrase" BYTEA,
    "key_id" TEXT,
    "secret_id" UUID,
    "pool_id" UUID NOT NULL,
    "libvirt_name" TEXT NOT NULL,
    "image_id" UUID,
    "vm_id" UUID,
    "target" TEXT,
    "boot_order" INTEGER,
    "owned_by_vm" BOOLEAN NOT NULL DEFAULT false,
    "target_pool_id" UUID,
    "operation_id" UUID,
    "operation_verb" TEXT,
    "created_by" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deleted_at" TIMESTAMPTZ(3),

    CONSTRAINT "volume_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "volume_snapshot" (
    "id" UUID NOT NULL,
    "volume_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "state" "volume_state" NOT NULL DEFAULT 'CREATING',
    "size" BIGINT NOT NULL,
    "libvirt_name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "volume_snapshot_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "seed" (
    "vm_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "pool_id" UUID NOT NULL,
    "target_pool_id" UUID,
    "libvirt_name" TEXT NOT NULL,
    "size" BIGINT NOT NULL,
    "content" BYTEA NOT NULL,
    "key_id" TEXT NOT NULL,

    CONSTRAINT "seed_pkey" PRIMARY KEY ("vm_id")
);

-- CreateTable
CREATE TABLE "image" (
    "id" UUID NOT NULL,
    "tenant_id" UUID,
    "name" TEXT NOT NULL,
    "live_name" TEXT,
    "state" "image_state" NOT NULL DEFAULT 'IMPORTING',
    "problem" TEXT,
    "generation" INTEGER NOT NULL DEFAULT 1,
    "url" TEXT,
    "sha256" TEXT,
    "format" TEXT,
    "file_size" BIGINT,
    "size" BIGINT,
    "pool_id" UUID NOT NULL,
    "upload_hash" TEXT,
    "upload_until" TIMESTAMPTZ(3),
    "operation_id" UUID,
    "created_by" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deleted_at" TIMESTAMPTZ(3),

    CONSTRAINT "image_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "image_copy" (
    "image_id" UUID NOT NULL,
    "pool_id" UUID NOT NULL,
    "libvirt_name" TEXT NOT NULL,
    "state" "image_state" NOT NULL DEFAULT 'IMPORTING',
    "claimed" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "image_copy_pkey" PRIMARY KEY ("image_id","pool_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "pool_host_host_id_name_key" ON "pool_host"("host_id", "name");

-- CreateIndex
CREATE INDEX "volume_pool_id_idx" ON "volume"("pool_id");

-- CreateIndex
CREATE INDEX "volume_image_id_idx" ON "volume"("image_id");

-- CreateIndex
CREATE UNIQUE INDEX "volume_tenant_id_live_name_key" ON "volume"("tenant_id", "live_name");

-- CreateIndex
CREATE UNIQUE INDEX "volume_vm_id_target_key" ON "volume"("vm_id", "target");

-- CreateIndex
CREATE UNIQUE INDEX "volume_snapshot_volume_id_name_key" ON "volume_snapshot"("volume_id", "name");

-- CreateIndex
CREATE UNIQUE INDEX "seed_id_key" ON "seed"("id");

-- CreateIndex
CREATE UNIQUE INDEX "image_upload_hash_key" ON "image"("upload_hash");

-- CreateIndex
CREATE UNIQUE INDEX "image_tenant_id_live_name_key" ON "image"("tenant_id", "live_name");

-- AddForeignKey
ALTER TABLE "pool_host" ADD CONSTRAINT "pool_host_pool_id_fkey" FOREIGN KEY ("pool_id") REFERENCES "pool"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "volume" ADD CONSTRAINT "volume_pool_id_fkey" FOREIGN KEY ("pool_id") REFERENCES "pool"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "volume" ADD CONSTRAINT "volume_image_id_fkey" FOREIGN KEY ("image_id") REFERENCES "image"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "volume_snapshot" ADD CONSTRAINT "volume_snapshot_volume_id_fkey" FOREIGN KEY ("volume_id") REFERENCES "volume"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "image_copy" ADD CONSTRAINT "image_copy_image_id_fkey" FOREIGN KEY ("image_id") REFERENCES "image"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "image_copy" ADD CONSTRAINT "image_copy_pool_id_fkey" FOREIGN KEY ("pool_id") REFERENCES "pool"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
