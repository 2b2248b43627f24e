-- AlterTable
ALTER TABLE "signing_keys" ADD COLUMN     "key_id" TEXT;
