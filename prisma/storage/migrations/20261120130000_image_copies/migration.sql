-- AlterTable
ALTER TABLE "image_copy" ADD COLUMN     "operation_id" UUID;

-- A public image's name is unique among public ones: to the unique index on tenant and name, no two NULLs are the same.
CREATE UNIQUE INDEX image_public_name ON image (live_name) WHERE tenant_id IS NULL;
